"""Replay: what a router would have cost and got wrong at every threshold, from measurements alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.costs.decider import RoutingCost, break_even_share
from allophone.routing.routers import Order, Overhead, Router, reached_points
from allophone.routing.samples import RouteSamples, SamplesT

__all__ = ["Outcome", "ThresholdSweep", "break_even", "replay", "replay_at", "sweep_thresholds", "thresholds_of"]

THRESHOLDS = 101


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One router at one threshold, utterance by utterance; arrays of shape (n_utterances,).

    Args:
        reached: Place of the last point that ran.
        kept: Place of the point whose transcript is kept.
        errors: Word errors of that transcript.
        flops: Executed FLOPs of all that ran, deciding included.
        seconds: Likewise.
    """

    reached: IntArray
    kept: IntArray
    errors: FloatArray
    flops: FloatArray
    seconds: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdSweep:
    """One router at falling thresholds, so from cheap to dear; arrays of shape (n_thresholds, n_utterances).

    Args:
        name: The router.
        thresholds: Shape (n_thresholds,).
        reached: As in :class:`Outcome`, as all that follow.
        errors: Word errors.
        flops: Executed FLOPs.
        seconds: Seconds.
    """

    name: str
    thresholds: FloatArray
    reached: IntArray
    errors: FloatArray
    flops: FloatArray
    seconds: FloatArray


def replay(samples: SamplesT, router: Router[SamplesT], threshold: float) -> Outcome:
    """Return what the router does at a threshold."""
    return replay_at(samples, router, router.scores(samples), router.kept(samples), threshold)


def replay_at(
    samples: SamplesT, router: Router[SamplesT], scores: FloatArray, kept: IntArray, threshold: float
) -> Outcome:
    """Return what the router does at a threshold, its scores and its choices known already."""
    reached = reached_points(scores, threshold)
    columns = np.arange(len(samples))
    keeps = kept[reached, columns]
    flops, seconds = _charge(samples, router.order, router.overhead, reached)
    return Outcome(reached, keeps, samples.errors[keeps, columns], flops, seconds)


def sweep_thresholds(
    samples: SamplesT, router: Router[SamplesT], thresholds: FloatArray | None = None
) -> ThresholdSweep:
    """Replay a router at falling thresholds; None: such as spread its decisions evenly."""
    scores, kept = router.scores(samples), router.kept(samples)
    thresholds = thresholds_of(scores) if thresholds is None else thresholds
    reached = np.array([reached_points(scores, threshold) for threshold in thresholds])
    # What is paid depends on the point reached alone, so it is counted once for each and not for each threshold.
    paid = [
        _charge(samples, router.order, router.overhead, np.full(len(samples), index, np.intp))
        for index in range(len(samples.points))
    ]
    columns = np.arange(len(samples))
    flops, seconds = (np.stack(values)[reached, columns] for values in zip(*paid, strict=True))
    return ThresholdSweep(
        router.name, thresholds, reached, samples.errors[kept[reached, columns], columns], flops, seconds
    )


def thresholds_of(scores: FloatArray, n_thresholds: int = THRESHOLDS) -> FloatArray:
    """Return falling thresholds: none escalates at the first, all that ever can at the last, quantiles between.

    A step can only be the one at which an utterance stops if all before it score higher, so running minima count.
    """
    critical = np.unique(np.minimum.accumulate(scores, axis=0))
    finite = critical[np.isfinite(critical)]
    if not finite.size:
        return np.array([np.inf, -np.inf])
    inner = np.unique(np.quantile(finite, np.linspace(0, 1, n_thresholds - 2), method="lower"))
    # A threshold equal to a score does not let it escalate, so each value stands for "all above me".
    return np.array([np.inf, *inner[::-1], -np.inf])


def _charge(
    samples: RouteSamples, order: Order, overhead: Overhead, reached: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return FLOPs and seconds of everything that ran for utterances that reached these points."""
    columns = np.arange(len(samples))
    flops, seconds = samples.flops[reached, columns], samples.latency_s[reached, columns]
    scored = np.ones(len(samples))
    if order == "cascade":
        flops = np.cumsum(samples.flops, axis=0)[reached, columns]
        seconds = np.cumsum(samples.latency_s, axis=0)[reached, columns]
        scorable = np.minimum(reached, len(samples.points) - 2)  # no step leads on from the last point
        read = reached if overhead.reads_last else scorable
        seconds = seconds + np.cumsum(samples.confidence_s, axis=0)[read, columns]
        scored = scorable + 1.0
    elif order != "direct":
        encoded = 0 if order == "small_first" else len(samples.points) - 1
        wasted = reached != encoded
        encoder_flops, encoder_s = samples.encoding(encoded)
        flops = flops + wasted * encoder_flops
        seconds = seconds + wasted * encoder_s
    per_step = overhead.seconds + overhead.seconds_per_audio_s * samples.duration_s
    deciding = overhead.flops + overhead.flops_per_audio_s * samples.duration_s
    return flops + scored * deciding, seconds + scored * per_step


def break_even(samples: RouteSamples, order: Order, overhead: Overhead, *, seconds: bool = False) -> float | None:
    """Return the share sent from the first to the last point below which routing is cheaper than the last alone.

    It takes utterances as alike: a router that sends long audio up breaks even earlier. None where it never does.
    Points between first and last are left out.

    Args:
        samples: Measured points.
        order: What runs first.
        overhead: Cost of deciding.
        seconds: Compare seconds instead of FLOPs.
    """
    ends = len(samples.points) - 1
    stay, climb = (
        _charge(samples.take_points([0, ends]), order, overhead, np.full(len(samples), index, np.intp))[
            int(seconds)
        ].mean()
        for index in (0, 1)
    )
    alone = (samples.latency_s if seconds else samples.flops)[ends].mean()
    scale = 1e9 if seconds else 1  # whole nanoseconds, whole FLOPs
    cost = RoutingCost("cascade", 0, round(climb * scale), round(stay * scale), round(alone * scale))
    return break_even_share(cost)
