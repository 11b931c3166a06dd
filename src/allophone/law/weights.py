"""How much each point counts in a law's fit, and the refits that its intervals come from.

Every point weighs by the inverse of its variance: that of its replicates, and a misfit, since no law is exact. The
misfit is a share of the loss; its square is what residuals leave after what sampling alone would leave (by the method
of moments, with the residual maker of the linearised fit). A refit takes one paired replicate of the losses with misfit
noise added, and a prior drawn about its own middle, so that what the points leave open shows in the spread of the
refits ("randomize then optimize", Bardsley et al., SIAM Journal on Scientific Computing 36, 2014).
"""

from __future__ import annotations

import numpy as np

from allophone.frontier.dominance import FloatArray
from allophone.law.form import LawForm, fit_rows

__all__ = ["first_fit", "refit", "variances_of", "weighted_fit"]

_STARTS = (0.4, 1.0, 3.0)  # times the prior's exponents
_LEAST_LEVEL = 1e-4
_FIRST_MISFIT = 0.1
_LEAST_MISFIT = 0.01
_ROUNDS = 3


def first_fit(form: LawForm, logs: FloatArray, losses: FloatArray, weights: FloatArray) -> FloatArray:
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
        coefficients = first_fit(form, logs, losses[None], 1 / variances[None])[0]
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
