"""Functional form of the scaling law, and its least-squares fit to many data sets at once.

With ``u_k = x_k / r_k`` the resource of axis ``k`` relative to the middle of the measured range, the loss is::

    loss(x) = e + sum_k a_k · u_k^(-alpha_k) + sum_{k<l} b_kl · u_k^(-alpha_k) · u_l^(-alpha_l)

with all coefficients and exponents positive. This follows the add-interact law of compute-optimal video models (arXiv
2505.18855): one falling power an axis, added, plus interactions, because what one axis buys depends on another. The
interactions there couple the scaling factors with the amount of fine-tuning data, which nobody varies when a trained
model is deployed; here axes interact with each other, as products of the powers they already have, so that an
interaction costs one coefficient and no exponent. Without interactions it is the law of Hoffmann et al. (arXiv
2203.15556, section 3.3).

The fit is a maximum a posteriori: weighted squares of the residuals, plus wide normal priors on the logarithms of
the parameters. Positive parameters need no constraint then, and what the points leave open (the exponent of an axis of
two values) stays where the prior has it instead of anywhere. It is found by damped least squares (Levenberg, 1944;
Marquardt, 1963), with one row of parameters for every data set: refits, folds and starts run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from allophone.arrays import FloatArray, IntArray

__all__ = ["LawForm", "fit_rows"]


_EXPONENT = 0.5  # middle of the prior; 0.34 and 0.28 in Hoffmann et al., about 1 to 2 for a context that is too short
_EXPONENT_SD = 1.0  # of its logarithm: 0.07 to 3.7 at two of them
_COEFFICIENT_SD = 3.0  # of the logarithm of a coefficient: a term may vanish, at a price of about one squared residual
_STEPS = 120
_DONE = 1e-7  # relative decrease of the objective at which a row is left alone
_BLOCK_NUMBERS = 2_000_000  # numbers in the derivatives held at once: 16 MB


@dataclass(frozen=True, slots=True)
class LawForm:
    """Which terms a law has. Parameters are logarithms, in the order e, a_k, alpha_k, b_kl.

    Args:
        n_axes: Number of axes.
        pairs: Axes that interact, each pair once.
    """

    n_axes: int
    pairs: tuple[tuple[int, int], ...]

    @property
    def n_parameters(self) -> int:
        """Parameters of the law."""
        return 1 + 2 * self.n_axes + len(self.pairs)

    def prior(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Middle and standard deviation of the parameters' normal priors, each of shape (n_parameters,).

        Args:
            level: A typical loss; coefficients are taken to share it out.
        """
        k, p = self.n_axes, len(self.pairs)
        share = log(level / (1 + k + p))
        middle = np.concatenate([np.full(1 + k, share), np.full(k, log(_EXPONENT)), np.full(p, share)])
        spread = np.concatenate(
            [np.full(1 + k, _COEFFICIENT_SD), np.full(k, _EXPONENT_SD), np.full(p, _COEFFICIENT_SD)]
        )
        return middle, spread

    def losses(self, parameters: FloatArray, logs: FloatArray) -> FloatArray:
        """The law's loss.

        Args:
            parameters: Shape (n_rows, n_parameters).
            logs: Logarithms of ``u``, shape (n_points, n_axes).

        Returns:
            Shape (n_rows, n_points).
        """
        return np.asarray(self._terms(parameters, logs)[0].sum(axis=2))

    def derivatives(self, parameters: FloatArray, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Losses, shape (n_rows, n_points), and their derivatives, shape (n_rows, n_points, n_parameters)."""
        terms, exponents = self._terms(parameters, logs)
        k = self.n_axes
        slopes = np.empty((len(parameters), len(logs), self.n_parameters))
        slopes[:, :, : 1 + k] = terms[:, :, : 1 + k]  # d/d log a of a·z is a·z
        slopes[:, :, 1 + 2 * k :] = terms[:, :, 1 + k :]
        holding = terms[:, :, 1 : 1 + k].copy()  # all terms that hold the power of an axis
        for index, (one, other) in enumerate(self.pairs):
            holding[:, :, one] += terms[:, :, 1 + k + index]
            holding[:, :, other] += terms[:, :, 1 + k + index]
        slopes[:, :, 1 + k : 1 + 2 * k] = -exponents[:, None, :] * logs * holding
        return terms.sum(axis=2), slopes

    def _terms(self, parameters: FloatArray, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Every term, shape (n_rows, n_points, 1 + n_axes + n_pairs), and the exponents, shape (n_rows, n_axes)."""
        k = self.n_axes
        exponents = np.exp(np.clip(parameters[:, 1 + k : 1 + 2 * k], -20, 3))
        powers = -exponents[:, None, :] * logs
        logged = [np.zeros((len(parameters), len(logs), 1)), powers]
        logged += [(powers[:, :, one] + powers[:, :, other])[:, :, None] for one, other in self.pairs]
        coefficients = np.concatenate([parameters[:, : 1 + k], parameters[:, 1 + 2 * k :]], axis=1)
        return np.exp(np.clip(np.concatenate(logged, axis=2) + coefficients[:, None, :], -80, 30)), exponents


def fit_rows(
    form: LawForm,
    logs: FloatArray,
    targets: FloatArray,
    weights: FloatArray,
    middles: FloatArray,
    spread: FloatArray,
    starts: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Fit one law to every row of losses.

    Args:
        form: Terms of the law.
        logs: Logarithms of ``u``, shape (n_points, n_axes).
        targets: Losses, shape (n_rows, n_points).
        weights: Inverse variances, the same shape; 0 leaves a point out.
        middles: Middle of each row's prior, shape (n_rows, n_parameters).
        spread: Standard deviation of the prior, shape (n_parameters,).
        starts: Where each row starts, shape (n_rows, n_parameters).

    Returns:
        Parameters, shape (n_rows, n_parameters), and the objective they reach, shape (n_rows,).
    """
    step = max(1, _BLOCK_NUMBERS // (len(logs) * form.n_parameters))
    found = [
        _fit_block(form, logs, targets[rows], weights[rows], middles[rows], spread, starts[rows])
        for rows in (slice(start, start + step) for start in range(0, len(targets), step))
    ]
    return np.concatenate([one for one, _ in found]), np.concatenate([other for _, other in found])


def _fit_block(
    form: LawForm,
    logs: FloatArray,
    targets: FloatArray,
    weights: FloatArray,
    middles: FloatArray,
    spread: FloatArray,
    starts: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    def objective(parameters: FloatArray, rows: IntArray) -> FloatArray:
        residuals = targets[rows] - form.losses(parameters, logs)
        strayed = (parameters - middles[rows]) / spread
        return np.asarray((weights[rows] * residuals**2).sum(axis=1) + (strayed**2).sum(axis=1))

    parameters = starts.copy()
    everything = np.arange(len(targets))
    reached = objective(parameters, everything)
    damping = np.full(len(targets), 1e-2)
    active = everything
    for _ in range(_STEPS):
        fitted, slopes = form.derivatives(parameters[active], logs)
        weighted = slopes * weights[active][:, :, None]
        curvature = np.swapaxes(weighted, 1, 2) @ slopes
        diagonal = np.arange(form.n_parameters)
        curvature[:, diagonal, diagonal] += spread**-2
        gradient = (weighted * (targets[active] - fitted)[:, :, None]).sum(axis=1)
        gradient -= (parameters[active] - middles[active]) / spread**2
        curvature[:, diagonal, diagonal] *= 1 + damping[active][:, None]
        moved = np.clip(np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0], -2, 2)
        trial = parameters[active] + moved
        value = objective(trial, active)
        better = value < reached[active]
        settled = np.abs(reached[active] - value) <= _DONE * (1 + reached[active])
        parameters[active[better]] = trial[better]
        reached[active[better]] = value[better]
        damping[active] = np.where(better, damping[active] / 5, damping[active] * 5)
        active = active[~(settled | (damping[active] > 1e10))]
        if not active.size:
            break
    return parameters, reached
