"""Cross-fitting over speakers: each fold is routed by what was chosen on the others, so no figure is flattered.

A threshold looks best on the speakers that set it. The folds together tell what a threshold set by the same rule does
to speakers that had no part in it (Chernozhukov et al., "Double/debiased machine learning", 2018, section 3: DML2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from allophone.arrays import IntArray
from allophone.routing.regression import speaker_folds
from allophone.routing.replay import Outcome, replay
from allophone.routing.samples import RouteSamples
from allophone.routing.selection import PredictedRouter
from allophone.routing.thresholds import CalibrationTarget, find_threshold, nearest_threshold

__all__ = ["CrossFitted", "cross_fit", "cross_fitted_threshold"]

FOLDS = 10


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """What thresholds do to speakers that had no part in choosing them.

    Args:
        outcome: Of all utterances, each in the fold that held it out.
        thresholds: One per fold.
        unmet: Folds whose other speakers did not suffice to promise the target; the nearest threshold stood in.
    """

    outcome: Outcome
    thresholds: tuple[float, ...]
    unmet: int


def cross_fit(
    samples: RouteSamples, route: Callable[[IntArray, IntArray], Outcome], *, n_folds: int = FOLDS, seed: int = 0
) -> Outcome:
    """Route every fold of speakers by what is chosen on the others.

    Args:
        samples: The utterances.
        route: Takes the places to choose on and the places to route, and returns what becomes of the latter.
        n_folds: At most the number of speakers.
        seed: Of the folds.
    """
    n = len(samples)
    reached, kept = np.zeros(n, np.intp), np.zeros(n, np.intp)
    errors, flops, seconds = np.zeros(n), np.zeros(n), np.zeros(n)
    for held_out in speaker_folds(samples.speakers, n_folds, seed):
        found = route(np.setdiff1d(np.arange(n), held_out), held_out)
        reached[held_out], kept[held_out], errors[held_out] = found.reached, found.kept, found.errors
        flops[held_out], seconds[held_out] = found.flops, found.seconds
    return Outcome(reached, kept, errors, flops, seconds)


def cross_fitted_threshold(
    samples: RouteSamples, router: PredictedRouter, goal: CalibrationTarget, *, n_folds: int = FOLDS, seed: int = 0
) -> CrossFitted:
    """Set the threshold for a target on all folds but one, and route that one by it.

    Args:
        samples: Utterances of speakers that the router has not learned from.
        router: Its scores are known.
        goal: What to reach.
        n_folds: At most the number of speakers.
        seed: Of the folds.
    """
    thresholds: list[float] = []
    unmet = 0

    def route(others: IntArray, held_out: IntArray) -> Outcome:
        nonlocal unmet
        known, scored = samples.take(others), router.take(others)
        chosen = find_threshold(known, scored, goal)
        unmet += chosen is None
        thresholds.append(chosen.threshold if chosen else nearest_threshold(known, scored, goal))
        return replay(samples.take(held_out), router.take(held_out), thresholds[-1])

    outcome = cross_fit(samples, route, n_folds=n_folds, seed=seed)
    return CrossFitted(outcome, tuple(thresholds), unmet)
