"""Tests by betting: evidence against "the mean loss is above zero" that is valid at every number of speakers.

A gambler starts with 1 and bets the share ``lambda`` on every speaker's loss to be below zero; his capital becomes::

    K(lambda) = prod_i (1 - lambda · loss_i),    0 <= lambda <= 1 / bound

(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2023, section 4). If the mean loss
is not below zero he expects to end with 1 at most, so a capital of ``1 / alpha`` has probability ``alpha`` at most
(Markov's inequality): the capital is an *e-value*. Losses must not exceed ``bound``, which must be known before they
are looked at, or the capital could fall below zero.

The bets here are constant and their average is taken, half of the capital at the greatest bet, half of the rest at half
of it, and so on. Bets that follow the losses heard so far (the paper's predictable plug-in) reach a similar capital
where speakers are alike, but need them to be: a constant bet is valid too where every speaker has another distribution
and only the mean of their expectations is tested, for by the inequality of arithmetic and geometric means
``prod_i (1 - lambda · mean_i) <= (1 - lambda · mean of mean_i)^n <= 1``. It also depends on no order and no seed.

Where all losses are equal to ``-gain``, no test can do with less than ``log(1 / alpha) / log(1 + gain / bound)``
speakers, for a population in which one in ``1 + bound / gain`` has the greatest loss looks the same to so many with
probability ``alpha``. The greatest bet needs as many, and ``log 2`` more in the numerator.
"""

from __future__ import annotations

from math import ceil, inf, log

import numpy as np
import numpy.typing as npt

__all__ = ["e_values", "needed_speakers"]

FloatArray = npt.NDArray[np.float64]

# Shares of the greatest bet that is allowed, and of the capital that is put on each.
_BETS = np.array([1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16])
_CAPITAL = np.array([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16])
_ROUNDING = 1e-9


def e_values(losses: npt.ArrayLike, bounds: npt.ArrayLike) -> FloatArray:
    """Return the evidence that the mean loss is below zero: the capital of the gambler.

    Args:
        losses: Shape (..., n_speakers), independent of each other along the last axis.
        bounds: No loss can be greater; positive, known before the losses, shape (...).

    Returns:
        Shape (...). Where the expectation of the mean loss is zero or above, at least ``1 / alpha`` with probability
        ``alpha`` at most, for every ``alpha``.

    Raises:
        ValueError: There is no loss, or one exceeds its bound.
    """
    relative = _relative(losses, bounds)
    logs = _log_growth(relative).sum(axis=-2)  # the bets stand last
    top = logs.max(axis=-1, keepdims=True)
    total: FloatArray = np.exp(np.minimum(top[..., 0] + np.log(np.exp(logs - top) @ _CAPITAL), 700.0))
    return total


def needed_speakers(losses: npt.ArrayLike, bound: float, alpha: float) -> float:
    """Return about how many speakers like those heard an e-value of ``1 / alpha`` takes.

    It is the number at which the capital's expected logarithm gets there, at the best of the bets.

    Args:
        losses: Shape (n_speakers,).
        bound: As in :func:`e_values`.
        alpha: One over the e-value to reach.

    Returns:
        A whole number; infinity where the mean loss is not below zero, so that no number is enough.
    """
    growth = _log_growth(_relative(losses, bound)).mean(axis=-2)
    least = inf
    for rate, share in zip(growth.tolist(), _CAPITAL.tolist(), strict=True):
        if rate > 0:
            least = min(least, ceil(log(1 / (alpha * share)) / rate))
    return float(least)


def _relative(losses: npt.ArrayLike, bounds: npt.ArrayLike) -> FloatArray:
    """Losses over their bounds, at most 1."""
    found, most = np.asarray(losses, np.float64), np.asarray(bounds, np.float64)[..., None]
    if not found.shape[-1] or not (most > 0).all() or not (found <= most * (1 + _ROUNDING)).all():
        raise ValueError("a bet needs losses, and a positive bound that none of them exceeds")
    relative: FloatArray = np.minimum(found / most, 1.0)
    return relative


def _log_growth(relative: FloatArray) -> FloatArray:
    """Logarithm of what every loss makes of the capital at every bet, shape (..., n_speakers, n_bets)."""
    with np.errstate(divide="ignore"):  # a greatest loss takes all that was bet at most
        growth: FloatArray = np.log1p(-relative[..., None] * _BETS)
    return growth
