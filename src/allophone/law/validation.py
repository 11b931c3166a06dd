"""Cross-validation of a scaling law: every point left out, and every value of an axis left out.

The trivial predictor is the median of the points that are left. Leaving out a whole value asks whether the law carries
to values that were never measured; an axis of two values cannot tell, since one value shows no slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allophone.arrays import FloatArray
from allophone.law.form import LawForm, fit_rows

__all__ = ["CrossValidation", "LeftOut", "cross_validate", "multi_start_fit", "refit", "variances_of", "weighted_fit"]

_STARTS = (0.4, 1.0, 3.0)  # times the prior's exponents
_LEAST_LEVEL = 1e-4
_FIRST_MISFIT = 0.1
_LEAST_MISFIT = 0.01
_ROUNDS = 3


def multi_start_fit(form: LawForm, logs: FloatArray, losses: FloatArray, weights: FloatArray) -> FloatArray:
    """Fit from several starts and keep the best, row by row.

    Args:
        form: Terms of the law.
        logs: Logarithms of ``u``, shape (n_points, n_axes).
        losses: Shape (n_rows, n_points).
        weights: Inverse variances, the same shape; 0 leaves a point out, also of the prior's level.

    Returns:
        Logarithms of parameters, shape (n_rows, n_parameters).
    """
    levels = np.maximum(np.nanmedian(np.where(weights > 0, losses, np.nan), axis=1), _LEAST_LEVEL)
    middles = np.array([form.prior(float(level))[0] for level in levels])
    spread = form.prior(1.0)[1]
    exponents = np.zeros(form.n_parameters)
    exponents[1 + form.n_axes : 1 + 2 * form.n_axes] = 1
    fits = [
        fit_rows(form, logs, losses, weights, middles, spread, middles + np.log(times) * exponents) for times in _STARTS
    ]
    best = np.argmin([reached for _, reached in fits], axis=0)
    return np.asarray(np.stack([found for found, _ in fits])[best, np.arange(len(losses))])


def variances_of(
    form: LawForm, coefficients: FloatArray, logs: FloatArray, drawn: FloatArray, misfit: float
) -> FloatArray:
    """Variance of every point about the law, shape (n_points,).

    Args:
        form: Terms of the law.
        coefficients: Logarithms of its parameters, shape (n_parameters,).
        logs: Logarithms of ``u``, shape (n_points, n_axes).
        drawn: Replicates of the losses, shape (n_replicates, n_points).
        misfit: Standard deviation of a point about the law, as a share of its loss.
    """
    return np.asarray(drawn.var(axis=0) + (misfit * form.losses(coefficients[None], logs)[0]) ** 2)


def weighted_fit(form: LawForm, logs: FloatArray, losses: FloatArray, drawn: FloatArray) -> tuple[FloatArray, float]:
    """Fit with a guessed misfit, then with the one that the residuals tell.

    Args:
        form: Terms of the law.
        logs: Logarithms of ``u``, shape (n_points, n_axes).
        losses: Shape (n_points,).
        drawn: Replicates of the losses, shape (n_replicates, n_points).

    Returns:
        Logarithms of the parameters, shape (n_parameters,), and the misfit as a share of the loss.
    """
    misfit, variances = _FIRST_MISFIT, drawn.var(axis=0) + (_FIRST_MISFIT * losses) ** 2 + _LEAST_LEVEL**2
    spread = form.prior(1.0)[1]
    coefficients = np.zeros(form.n_parameters)
    for _ in range(_ROUNDS):
        coefficients = multi_start_fit(form, logs, losses[None], 1 / variances[None])[0]
        fitted, slopes = (item[0] for item in form.derivatives(coefficients[None], logs))
        weighted = slopes.T / variances
        maker = np.eye(len(losses)) - slopes @ np.linalg.solve(weighted @ slopes + np.diag(spread**-2), weighted)
        left = ((losses - fitted) / fitted) ** 2
        sampling = (((drawn - drawn.mean(axis=0)) @ maker.T / fitted) ** 2).mean(axis=0)
        share = (maker**2 * fitted**2 / fitted[:, None] ** 2).sum()
        misfit = float(np.sqrt(np.clip((left.sum() - sampling.sum()) / share, _LEAST_MISFIT**2, 1)))
        variances = variances_of(form, coefficients, logs, drawn, misfit)
    return coefficients, misfit


def refit(
    form: LawForm, logs: FloatArray, losses: FloatArray, drawn: FloatArray, coefficients: FloatArray, misfit: float
) -> FloatArray:
    """Fit every replicate anew, with misfit noise and a prior of its own.

    Args:
        form: Terms of the law.
        logs: Logarithms of ``u``, shape (n_points, n_axes).
        losses: Shape (n_points,).
        drawn: Replicates of the losses, shape (n_replicates, n_points).
        coefficients: The fit to the losses themselves, from which refits start.
        misfit: Standard deviation of a point about the law, as a share of its loss.

    Returns:
        Logarithms of parameters, shape (n_replicates, n_parameters).
    """
    rng = np.random.default_rng(0)
    fitted = form.losses(coefficients[None], logs)[0]
    targets = drawn + misfit * fitted * rng.standard_normal(drawn.shape)
    weights = np.broadcast_to(1 / variances_of(form, coefficients, logs, drawn, misfit), targets.shape)
    middle, spread = form.prior(max(float(np.median(losses)), _LEAST_LEVEL))
    middles = middle + spread * rng.standard_normal((len(drawn), form.n_parameters))
    starts = np.broadcast_to(coefficients, middles.shape)
    return fit_rows(form, logs, targets, weights, middles, spread, starts)[0]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Mean absolute error where the points of one value of an axis are predicted from those of its other values.

    Args:
        error: The law's, as a fraction.
        trivial: That of the median of the other points.
    """

    error: float
    trivial: float


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Errors on what was left out, fractions.

    Args:
        point_error: Mean absolute error of the law, each point left out in turn.
        point_trivial: The same of the median of the other points.
        gains: For every point by how much the law errs less, shape (n_points,).
        values: Per axis of three or more values, the errors with each value left out in turn.
    """

    point_error: float
    point_trivial: float
    gains: FloatArray
    values: dict[str, LeftOut]

    def extrapolates(self, axis: str) -> bool:
        """Whether the law was seen to predict values of an axis that it had not been given."""
        return axis in self.values and self.values[axis].error < self.values[axis].trivial


def cross_validate(
    form: LawForm, logs: FloatArray, losses: FloatArray, weights: FloatArray, axes: Sequence[str]
) -> CrossValidation:
    """Predict every point, and every value of an axis, from the rest.

    Args:
        form: Terms of the law.
        logs: Logarithms of ``u``, shape (n_points, n_axes).
        losses: Shape (n_points,).
        weights: Inverse variances, shape (n_points,).
        axes: Names of the axes.
    """
    n_points = len(losses)
    owners: list[str | None] = [None] * n_points
    folds = list(np.eye(n_points, dtype=np.bool_))
    for k, axis in enumerate(axes):
        levels = np.unique(logs[:, k].round(9))
        if len(levels) >= 3:
            folds += [logs[:, k].round(9) == level for level in levels]
            owners += [axis] * len(levels)
    out = np.array(folds)
    rows = np.broadcast_to(losses, out.shape)
    fitted = multi_start_fit(form, logs, rows, np.where(out, 0.0, weights))
    errors = np.abs(form.losses(fitted, logs) - losses)
    trivial = np.abs(np.nanmedian(np.where(out, np.nan, rows), axis=1)[:, None] - losses)
    law, plain = errors[:n_points].diagonal(), trivial[:n_points].diagonal()
    values = {}
    for axis in dict.fromkeys(owner for owner in owners if owner is not None):
        mask = out & np.array([owner == axis for owner in owners])[:, None]
        values[axis] = LeftOut(float(errors[mask].mean()), float(trivial[mask].mean()))
    return CrossValidation(float(law.mean()), float(plain.mean()), np.asarray(plain - law), values)
