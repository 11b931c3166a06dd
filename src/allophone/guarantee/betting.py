"""Tests by betting: evidence against "the mean loss is above zero" that is valid at every number of speakers.

A gambler starts with 1 and bets on every speaker's loss to be below zero; his capital becomes::

    K = prod_i (1 - bet · loss_i / stake_i),    0 <= bet <= 1,  loss_i <= stake_i

(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2023, section 4). With equal
stakes, if the mean loss is not below zero, he expects to end with 1 at most, so a capital of ``1 / alpha`` has
probability ``alpha`` at most (Markov's inequality): the capital is an *e-value*. A loss must not exceed its stake,
which must be set before losses are looked at, or the capital could fall below zero.

The bets here are constant and the capital is their average, half of it at the greatest bet, half of the rest at half
that, and so on. Bets that follow the losses heard so far (the paper's predictable plug-in) reach a similar capital
where speakers are alike, but are valid only there. Constant bets are valid too where every speaker has another
distribution and stakes differ, if the capital is divided by a price. For with ``m_i`` the expected losses, whose sum is
not below zero, and the inequality of arithmetic (AM) and geometric (GM) means over ``stake_i / bet - m_i``::

    E[K] = prod_i (1 - bet · m_i / stake_i) <= (AM(stakes) / GM(stakes))^n

The price of equal stakes is 1. Lower stakes for those who cannot lose much are worth a small price, so stakes are the
greatest losses, raised to a floor; it is the one that promises most if speakers lose as little as is hoped.
The capital depends on no order and no seed.

Where all losses are equal to ``-gain``, no test can do with less than ``log(1 / alpha) / log(1 + gain / stake)``
speakers: to so many, a population in which one of ``1 + stake / gain`` loses the whole stake looks the same with
probability ``alpha``. The greatest bet needs as many, and ``log 2`` more in the numerator.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, isfinite, log

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray

__all__ = ["Stakes", "e_values", "needed_speakers", "set_stakes"]


# Shares of the stake that are bet, and of the capital that is put on each.
_BETS = np.array([1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16])
_CAPITAL = np.array([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16])
_FLOORS = np.linspace(0, 1, 41)  # quantiles of the greatest losses that are tried
_ROUNDING = 1e-9
_LARGEST = 700.0  # exp of more overflows


@dataclass(frozen=True, slots=True, eq=False)
class Stakes:
    """What is staked on every speaker.

    Args:
        stakes: No loss can be greater, shape (n_speakers,); all infinite where nothing can be staked.
        log_price: Logarithm of what the capital is divided by.
    """

    stakes: FloatArray
    log_price: float


def set_stakes(greatest: npt.ArrayLike, hoped: npt.ArrayLike) -> Stakes:
    """Set the stakes from what is known before losses are looked at.

    Args:
        greatest: Greatest loss that each speaker can have, shape (n_speakers,); where one is infinite, nothing can be
            staked.
        hoped: By how much each speaker's loss is hoped to be below zero, shape (n_speakers,). It decides how good the
            stakes are, not whether they are valid.

    Raises:
        ValueError: There is no speaker, or nobody can lose anything.
    """
    most, gains = np.asarray(greatest, np.float64), np.asarray(hoped, np.float64)
    if not most.size or not most.max() > 0:
        raise ValueError("stakes need speakers who can lose something")
    if not np.isfinite(most).all():
        return Stakes(np.full(most.shape, inf), 0.0)
    floors = np.unique(np.quantile(most, _FLOORS))
    tried = np.maximum(most, floors[floors > 0][:, None])
    prices = np.maximum(len(most) * np.log(tried.mean(axis=1)) - np.log(tried).sum(axis=1), 0.0)
    best = int(np.argmax(np.log1p(gains / tried).sum(axis=1) - prices))
    return Stakes(tried[best], float(prices[best]))


def e_values(losses: npt.ArrayLike, stakes: Stakes) -> FloatArray:
    """Return the evidence that the mean loss is below zero: the capital of the gambler over its price.

    Args:
        losses: Shape (..., n_speakers), independent of each other along the last axis.
        stakes: Set before the losses were looked at.

    Returns:
        Shape (...). Where the expectation of the mean loss is zero or above, at least ``1 / alpha`` with probability
        ``alpha`` at most, for every ``alpha``.

    Raises:
        ValueError: A loss exceeds its stake.
    """
    logs = _log_growth(losses, stakes).sum(axis=-2) - stakes.log_price  # the bets stand last
    top = logs.max(axis=-1, keepdims=True)
    total: FloatArray = np.exp(np.minimum(top[..., 0] + np.log(np.exp(logs - top) @ _CAPITAL), _LARGEST))
    return total


def needed_speakers(losses: npt.ArrayLike, stakes: Stakes, alpha: float) -> float:
    """Return about how many speakers like those heard an e-value of ``1 / alpha`` takes.

    It is the number at which the capital's expected logarithm gets there, at the best of the bets.

    Args:
        losses: Shape (n_speakers,).
        stakes: As in :func:`e_values`.
        alpha: One over the e-value to reach.

    Returns:
        A whole number; infinity where no number is enough, as where the mean loss is not below zero.
    """
    growth = _log_growth(losses, stakes).mean(axis=-2) - stakes.log_price / len(stakes.stakes)
    least = inf
    for rate, share in zip(growth.tolist(), _CAPITAL.tolist(), strict=True):
        if rate > 0 and isfinite(rate):
            least = min(least, ceil(log(1 / (alpha * share)) / rate))
    return float(least)


def _log_growth(losses: npt.ArrayLike, stakes: Stakes) -> FloatArray:
    """Logarithm of what every loss makes of the capital at every bet, shape (..., n_speakers, n_bets)."""
    relative = np.asarray(losses, np.float64) / stakes.stakes
    if not (relative <= 1 + _ROUNDING).all():
        raise ValueError("a loss is greater than its stake")
    with np.errstate(divide="ignore"):  # a whole stake takes all that was bet at most
        growth: FloatArray = np.log1p(-np.minimum(relative, 1.0)[..., None] * _BETS)
    return growth
