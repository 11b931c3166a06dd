"""Limits kept with a stated probability, the choice among many points included.

Each limit of each point is tested one-sided (:func:`allophone.measure.bootstrap.p_beyond`): the hypothesis is that the
true value, over all speakers like those heard, lies beyond the limit. A point keeps all limits only if each of its
tests rejects, so its p value is the greatest of them (an intersection-union test; Berger, 1982). The p values are then
adjusted for the number of points (:func:`allophone.guarantee.multiplicity.step_down_p`), so with probability
``confidence`` *no* point that is let through breaks a limit, and the one that a user then picks, cheapest or luckiest,
does not either. Points whose every replicate lies beyond the limit cannot be let through by accident; they are set
aside first and do not dilute the rest, for a tenth of the allowed error (Romano, Shaikh and Wolf, 2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from allophone.arrays import BoolArray, FloatArray
from allophone.guarantee.multiplicity import step_down_p, tail_ranks
from allophone.measure.bootstrap import Replicates
from allophone.measure.intervals import p_beyond

__all__ = ["LEAST_SPEAKERS", "KeptLimits", "enough_speakers", "keep_limits"]

LEAST_SPEAKERS = 8  # of fewer, simulations show that no bootstrap keeps its promise
_SCREENING = 0.1  # share of the allowed error spent on setting hopeless points aside


def enough_speakers(effective: float) -> bool:
    """Whether so many effective speakers, rounded to a whole number, allow a promise about others."""
    return effective >= LEAST_SPEAKERS - 0.5


@dataclass(frozen=True, slots=True, eq=False)
class KeptLimits:
    """Which points keep all limits, and how surely.

    Args:
        kept: Points that keep all limits with the confidence asked, however many were tested, shape (n_points,).
        probability: Greatest confidence at which each would be let through, shape (n_points,); 0 where it exceeds a
            limit as measured.
        alone: The same if no other point had been tested, shape (n_points,).
        confidence: Probability that no point let through breaks a limit.
    """

    kept: BoolArray
    probability: FloatArray
    alone: FloatArray
    confidence: float


def keep_limits(resampled: Mapping[str, Replicates], limits: Mapping[str, float], confidence: float) -> KeptLimits:
    """Find the points that keep all limits with a stated probability.

    Args:
        resampled: Every limited objective of all points, by name; all of one resample.
        limits: Largest allowed value by the same names, in base units.
        confidence: Probability that no point let through breaks a limit, between 0.5 and 1.

    Raises:
        ValueError: There is no limit, or the confidence is out of range.
    """
    if not limits or not 0.5 < confidence < 1:
        raise ValueError(f"give limits and a confidence between 0.5 and 1, got {dict(limits)} and {confidence}")
    alone, ranks, beyond = [], [], []
    for name, limit in limits.items():
        replicates = resampled[name]
        alone.append(p_beyond(replicates, limit))
        deviations = replicates.estimates - replicates.inflated()  # great where the estimate flatters
        ranks.append(tail_ranks(deviations))
        beyond.append(_share_within(replicates, limit))
    p = np.max(alone, axis=0)
    # Where one limit is hopeless the point's other tests decide nothing: no test of it can be passed by accident.
    allowed = 1 - confidence
    futile = np.min(beyond, axis=0) <= _SCREENING * allowed / len(p)
    adjusted = np.ones_like(p)
    if not futile.all():
        least = np.min([rank[:, ~futile] for rank in ranks], axis=0)
        adjusted[~futile] = step_down_p(p[~futile], least)
    spent = _SCREENING * allowed if futile.any() else 0.0
    probability = np.where(p < 1, np.clip(1 - adjusted - spent, 0.0, 1.0), 0.0)
    return KeptLimits(
        kept=probability >= confidence - 1e-9,
        probability=probability,
        alone=np.where(p < 1, 1 - p, 0.0),
        confidence=confidence,
    )


def _share_within(replicates: Replicates, limit: float) -> FloatArray:
    """Chance that a point is within the limit after all: share of its widened replicates, or a normal tail below that.

    1 where not measured; 0 for a value that never varies and exceeds the limit.
    """
    deviations = replicates.inflated() - replicates.estimates
    with np.errstate(invalid="ignore", divide="ignore"):
        within = np.mean(replicates.estimates + deviations <= limit, axis=0)
        distance = (replicates.estimates - limit) / np.sqrt(np.mean(deviations**2, axis=0))
    tails = np.array([NormalDist().cdf(-z) if np.isfinite(z) else float(z < 0) for z in distance.tolist()])
    shares: FloatArray = np.where(np.isnan(replicates.estimates), 1.0, np.fmax(within, tails))
    return shares
