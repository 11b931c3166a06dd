"""Threshold calibration: a target holds for speakers who were not heard, with a stated probability.

A threshold that only has to meet the target on the speakers at hand is the luckiest of all that nearly do: on fresh
speakers it breaks the target as often as not. So the upper end of a one-sided interval, speakers resampled as blocks,
is held against the limit, by one of two rules:

- A cost or a share only grows as the threshold falls. Thresholds are tried from cheap to dear and the first failure
  ends the walk. Tests in an order fixed beforehand need no correction for their number (Maurer, Hothorn and Lehmacher,
  1995): to break the limit, the walk must pass the one threshold at which the true value crosses it. No speaker who
  was not heard can cost more than the last point for all, so there is no allowance for a worst one.
- A word error rate falls as more is spent, but its measured curve has lucky notches. All thresholds are tested
  together (:func:`allophone.guarantee.limits.keep_limits`), so with the stated probability none that is let through
  breaks the limit, and the cheapest of them is taken.

The probability counts refusals: of all calibrations like this one, at most one minus it leave a threshold that breaks
the target. Where a target is barely within reach, few calibrations find it, and among those the lucky ones are more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Literal

import numpy as np

from allophone.arrays import BoolArray, FloatArray
from allophone.errors import InfeasibleError, UsageError
from allophone.guarantee.limits import keep_limits
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import Replicates, resample_ratio
from allophone.measure.intervals import intervals
from allophone.routing.replay import ThresholdSweep, sweep_thresholds
from allophone.routing.routers import Router
from allophone.routing.samples import RouteSamples, SamplesT

__all__ = [
    "CalibrationTarget",
    "Chosen",
    "Target",
    "choose_threshold",
    "costs_kept",
    "effective_speakers",
    "find_threshold",
    "met_as_measured",
    "nearest_threshold",
    "rates_kept",
    "threshold_grid",
]

Target = Literal["wer", "gflops", "big_share"]
REPLICATES = 2000
MOST_THRESHOLDS = 100
_BISECTIONS = 12
_ROUNDING = 1e-12  # relative; means of equal numbers round
_TITLES = {"wer": "a word error rate of", "gflops": "a mean cost of", "big_share": "a share of"}


@dataclass(frozen=True, slots=True)
class CalibrationTarget:
    """What a threshold is to reach.

    Args:
        target: ``wer``: at the least cost, a word error rate of at most ``value``, a fraction. ``gflops``: mean
            executed GFLOPs per utterance of at most ``value``. ``big_share``: at most that share to the last point.
        value: The limit.
        confidence: Probability with which speakers not heard keep to it.
    """

    target: Target
    value: float
    confidence: float = 0.9

    def check(self) -> None:
        """Refuse a limit or a confidence that means nothing.

        Raises:
            UsageError: Not a positive number, a share above 1, or a confidence outside 0.5 to 1.
        """
        share = self.target == "big_share"
        if not 0 < self.value < inf or (share and self.value > 1):
            wanted = "a number above 0 and at most 1" if share else "a positive number"
            raise UsageError(f"{_TITLES[self.target]} {self.value:g}: give {wanted}.")
        if not 0.5 < self.confidence < 1:
            percent = 50 < self.confidence < 100
            wanted = f"{self.confidence / 100:g}" if percent else "a fraction between 0.5 and 1, such as 0.9"
            raise UsageError(f"--confidence {self.confidence:g}: it is a fraction, no percentage; write {wanted}.")

    def shown(self, value: float) -> str:
        """Return a value of the target with its unit, rounded up: what is shown can be asked for."""
        scale, unit = (1, "GFLOPs") if self.target == "gflops" else (100, "%")
        return f"{ceil(100 * scale * value) / 100:.2f} {unit}"

    def __str__(self) -> str:
        """Return the target in words."""
        value = f"{self.value:g} GFLOPs" if self.target == "gflops" else f"{100 * self.value:g} %"
        return f"{_TITLES[self.target]} {value}"


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The threshold that a target leads to.

    Args:
        threshold: The threshold.
        index: Its place in the trace.
        trace: What the router does at every threshold that was tried, from cheap to dear.
    """

    threshold: float
    index: int
    trace: ThresholdSweep


def effective_speakers(speakers: Sequence[str | None]) -> float:
    """Return how many speakers of equal size would tell as much (:attr:`Resample.effective_blocks`).

    Zero where nobody is named or all are one: nothing is then known of how speakers differ.
    """
    resample = draw_blocks(speakers, n_replicates=1)
    return resample.effective_blocks if resample.blocked else 0.0


def threshold_grid(scores: FloatArray, *, most: int = MOST_THRESHOLDS, least: float = -inf) -> FloatArray:
    """Return falling finite thresholds that spread the decisions evenly, from none that escalates to all that ever can.

    Args:
        scores: Of every step, shape (n_points - 1, n_utterances).
        most: About how many; every decision has its own where there are fewer.
        least: No threshold below it; it is one itself where scores lie on both sides.

    Returns:
        Shape (n_thresholds,).
    """
    critical = np.unique(np.minimum.accumulate(scores, axis=0))  # an utterance stops at the first step not above
    critical = critical[np.isfinite(critical)]
    if not critical.size:
        return np.array([max(0.0, least)])
    indices = np.unique(np.linspace(0, len(critical) - 1, min(most, len(critical))).round().astype(np.intp))
    grid = np.concatenate([[np.nextafter(critical[0], -inf)], critical[indices]])
    if critical[0] < 0 < critical[-1]:
        grid = np.union1d(grid, [0.0])  # where a step is predicted to cost as much as it saves
    kept = grid[grid >= least]
    return kept[::-1] if kept.size else np.array([least])


def rates_kept(rates: Replicates, limit: float, confidence: float) -> BoolArray:
    """Return which thresholds keep an error rate on speakers not heard, all of them with the stated probability.

    Args:
        rates: At every threshold, from :func:`allophone.measure.bootstrap.resample_ratio`.
        limit: Largest rate.
        confidence: Probability that no threshold let through exceeds it.

    Returns:
        Shape (n_thresholds,).
    """
    return keep_limits({"rate": rates}, {"rate": limit}, confidence).kept


def costs_kept(costs: Replicates, limit: float, confidence: float) -> BoolArray:
    """Return which thresholds keep a cost that only grows along them: all before the first whose upper end exceeds it.

    Args:
        costs: At every threshold, from cheap to dear.
        limit: Largest cost.
        confidence: Probability that no threshold let through exceeds it.

    Returns:
        Shape (n_thresholds,).
    """
    return np.asarray(np.logical_and.accumulate(_upper_ends(costs, confidence) <= limit * (1 + _ROUNDING)))


def find_threshold(
    samples: SamplesT,
    router: Router[SamplesT],
    goal: CalibrationTarget,
    *,
    n_replicates: int = REPLICATES,
    most: int = MOST_THRESHOLDS,
) -> Chosen | None:
    """Find the threshold that meets a target on speakers not heard, with the target's confidence, or None.

    A budget or a share is spent as far as it goes, but no step is escalated that is predicted to cost errors: the
    threshold is never below 0 then. A word error rate is met at the least cost.

    Args:
        samples: Utterances of speakers that the router has not learned from.
        router: What scores them.
        goal: What to reach.
        n_replicates: Of the bootstrap.
        most: About how many thresholds are tried.
    """
    trace, replicates = _tried(samples, router, goal, n_replicates, most)
    if goal.target == "wer":
        kept = rates_kept(replicates, goal.value, goal.confidence)
    else:
        kept = costs_kept(replicates, goal.value, goal.confidence)
    if not kept.any():
        return None
    costs = trace.flops.mean(axis=1)
    index = int(np.where(kept, costs, inf).argmin()) if goal.target == "wer" else int(np.flatnonzero(kept)[-1])
    return Chosen(float(trace.thresholds[index]), index, trace)


def choose_threshold(samples: SamplesT, router: Router[SamplesT], goal: CalibrationTarget) -> Chosen:
    """Return what :func:`find_threshold` finds.

    Raises:
        InfeasibleError: It finds none; the message names the nearest limit that can be met, and how many more speakers
            would do.
    """
    chosen = find_threshold(samples, router, goal)
    if chosen is None:
        raise _out_of_reach(samples, *_tried(samples, router, goal, REPLICATES, MOST_THRESHOLDS), goal)
    return chosen


def met_as_measured(
    samples: SamplesT, router: Router[SamplesT], goal: CalibrationTarget, *, most: int = MOST_THRESHOLDS
) -> Chosen | None:
    """Return the threshold that meets a target on these very speakers, or None; it promises nothing for others."""
    trace, replicates = _tried(samples, router, goal, 1, most)
    met = np.flatnonzero(replicates.estimates <= goal.value)
    if not met.size:
        return None
    costs = trace.flops.mean(axis=1)[met]
    index = int(met[costs.argmin() if goal.target == "wer" else costs.argmax()])
    return Chosen(float(trace.thresholds[index]), index, trace)


def nearest_threshold(samples: SamplesT, router: Router[SamplesT], goal: CalibrationTarget) -> float:
    """Return the threshold whose upper end comes nearest to a target that none meets."""
    trace, replicates = _tried(samples, router, goal, REPLICATES, MOST_THRESHOLDS)
    return float(trace.thresholds[int(np.nanargmin(_upper_ends(replicates, goal.confidence)))])


def _tried(
    samples: SamplesT, router: Router[SamplesT], goal: CalibrationTarget, n_replicates: int, most: int
) -> tuple[ThresholdSweep, Replicates]:
    """Return what the router does at every threshold, and the replicates of what the target limits."""
    grid = threshold_grid(router.scores(samples), most=most, least=-inf if goal.target == "wer" else 0.0)
    trace = sweep_thresholds(samples, router, grid)
    resample = draw_blocks(samples.speakers, n_replicates=n_replicates)
    if goal.target == "wer":
        return trace, resample_ratio(trace.errors, samples.weights, resample)
    if goal.target == "gflops":
        return trace, resample_ratio(trace.flops / 1e9, np.ones(len(samples)), resample)
    climbed = (trace.reached == len(samples.points) - 1).astype(np.float64)
    return trace, resample_ratio(climbed, np.ones(len(samples)), resample)  # none so far is not none ever


def _nearest(replicates: Replicates, upper: FloatArray, goal: CalibrationTarget) -> tuple[float, int]:
    """Return the least limit at which some threshold is let through, and which."""
    if goal.target != "wer":
        return float(upper[0]), 0
    low, high = float(np.nanmin(replicates.estimates)), 2 * float(np.nanmax(upper))
    index = int(np.nanargmin(upper))
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        kept = rates_kept(replicates, middle, goal.confidence)
        if kept.any():
            high, index = middle, int(np.where(kept, upper, inf).argmin())
        else:
            low = middle
    return high, index


def _upper_ends(replicates: Replicates, confidence: float) -> FloatArray:
    """Upper ends of the one-sided intervals, shape (n_thresholds,)."""
    return np.array([interval.high for interval in intervals(replicates, 2 * confidence - 1)])


def _out_of_reach(
    samples: RouteSamples, trace: ThresholdSweep, replicates: Replicates, goal: CalibrationTarget
) -> InfeasibleError:
    estimates, upper = replicates.estimates, _upper_ends(replicates, goal.confidence)
    nearest, index = _nearest(replicates, upper, goal)
    # Testing many thresholds together, with an allowance for the worst speaker, takes more: as much as at the nearest.
    more = _more_speakers(estimates, upper * (nearest / upper[index]), goal, replicates.resample.n_blocks)
    measured = float(np.nanmin(estimates))
    if more == inf:
        remedy = f"More speakers like these would not help: as measured it comes to {goal.shown(measured)} at the least"
        ask = "Ask for what can be promised, or add a point"
    else:
        remedy = f"If what was measured stays, about {more:.0f} more speakers would do"
        ask = "Ask for what can be promised, give more runs, lower --confidence, or add a point"
    return InfeasibleError(
        f"{goal} is out of reach with a probability of {goal.confidence:g}: on {len(samples)} decisions about "
        f"{samples.n_speakers} unseen speakers, the nearest that can be promised for new ones is "
        f"{goal.shown(nearest)} (measured: {goal.shown(float(estimates[index]))}), at "
        f"{trace.flops[index].mean() / 1e9:.1f} GFLOPs per utterance. {remedy}. {ask}."
    )


def _more_speakers(estimates: FloatArray, upper: FloatArray, goal: CalibrationTarget, n_speakers: int) -> float:
    """Return how many speakers more would bring some upper end down to the target; infinity: none.

    An upper end's distance from its estimate, on the logarithm, falls with the square root of the number of speakers
    (the sample-size formula of :mod:`allophone.frontier.confidence` solved for a one-sided limit).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = (np.log(upper / estimates) / np.log(goal.value / estimates)) ** 2
    possible = (estimates > 0) & (estimates < goal.value) & np.isfinite(factors)
    return max(1, ceil((factors[possible].min() - 1) * n_speakers)) if possible.any() else inf
