"""Metrics at one threshold: error rate, cost and right decisions, with speaker-blocked intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from allophone.arrays import FloatArray
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates, resample_mean, resample_ratio, resample_ratio_difference
from allophone.measure.intervals import Interval, intervals
from allophone.routing.recovery import mean_curve
from allophone.routing.replay import Outcome, replay, sweep_thresholds
from allophone.routing.routers import OracleRouter, Router
from allophone.routing.samples import RouteSamples, SamplesT

__all__ = ["ThresholdMetrics", "decision_accuracy", "threshold_metrics"]


@dataclass(frozen=True, slots=True)
class ThresholdMetrics:
    """What a policy does at its threshold; every number with its 95 % interval.

    Args:
        threshold: The threshold.
        wer: Word error rate, a fraction.
        wer_over_last: Minus that of always the last point: below 0 is better.
        wer_over_oracle: Minus that of the oracle at equal mean FLOPs.
        p_worse: Share of utterances whose kept transcript has more errors than the last point's; what an average hides.
        p_better: Share with fewer.
        gflops: Mean executed GFLOPs per utterance, deciding included.
        seconds: Likewise.
        flops_of_last: Mean FLOPs over those of always the last point.
        seconds_of_last: Likewise.
        share_escalated: Share of utterances that reach the last point.
        accuracy: Share decided right of those on which first and last point differ in errors: sent to the last where
            that is better, left at the first where that is. ``accuracy_all`` counts ties as rightly left below, the
            rule by which arXiv 2309.12712 labels.
        accuracy_all: See ``accuracy``.
    """

    threshold: float
    wer: Interval
    wer_over_last: Interval
    wer_over_oracle: Interval
    p_worse: Interval
    p_better: Interval
    gflops: Interval
    seconds: Interval
    flops_of_last: float
    seconds_of_last: float
    share_escalated: float
    accuracy: float
    accuracy_all: float


def threshold_metrics(
    samples: SamplesT, router: Router[SamplesT], threshold: float, *, n_replicates: int = 2000
) -> ThresholdMetrics:
    """Return what a router does at one threshold, with speaker-blocked intervals."""
    outcome = replay(samples, router, threshold)
    resample = draw_blocks(samples.speakers, n_replicates=n_replicates)
    wer = intervals(resample_ratio(outcome.errors[None], samples.weights, resample))[0]  # alone: no rate is below 0
    paired = np.stack([outcome.errors, samples.errors[-1]])
    over = intervals(resample_ratio_difference(paired, samples.weights, resample, 1))[0]
    gflops, seconds = intervals(resample_mean(np.stack([outcome.flops / 1e9, outcome.seconds]), resample))
    shifts = np.sign(outcome.errors - samples.errors[-1])
    changed = replace(resample_mean(np.stack([shifts > 0, shifts < 0]).astype(np.float64), resample), most=1.0)
    p_worse, p_better = intervals(changed)
    share_escalated = outcome.reached == len(samples.points) - 1
    right, right_all = decision_accuracy(samples, outcome)
    return ThresholdMetrics(
        threshold=threshold,
        wer=wer,
        wer_over_last=over,
        wer_over_oracle=_over_oracle(samples, outcome, resample),
        p_worse=p_worse,
        p_better=p_better,
        gflops=gflops,
        seconds=seconds,
        flops_of_last=float(outcome.flops.mean() / samples.flops[-1].mean()),
        seconds_of_last=float(outcome.seconds.mean() / samples.latency_s[-1].mean()),
        share_escalated=float(share_escalated.mean()),
        accuracy=right,
        accuracy_all=right_all,
    )


def _over_oracle(samples: RouteSamples, outcome: Outcome, resample: Resample) -> Interval:
    """Error rate less that of the oracle at equal mean FLOPs, in the estimate and in every replicate."""
    oracle = sweep_thresholds(samples, OracleRouter())
    weights = np.concatenate([np.ones((1, resample.n_blocks)), *resample.weights()])

    def sums(values: FloatArray) -> FloatArray:
        found: FloatArray = weights @ resample.block_sums(values)
        return found

    words, count = sums(samples.weights[None]), sums(np.ones((1, len(samples))))
    words[words == 0] = np.nan
    wer, cost = sums(outcome.errors[None]) / words, sums(outcome.flops[None]) / count
    curves = zip(sums(oracle.flops) / count, sums(oracle.errors) / words, cost, strict=True)
    gaps = wer[:, 0] - np.array([mean_curve(*curve)[0] for curve in curves])
    return intervals(Replicates(resample, gaps[:1], gaps[1:, None], least=-np.inf))[0]


def decision_accuracy(samples: RouteSamples, outcome: Outcome) -> tuple[float, float]:
    """Return the share of right decisions where first and last point differ, and over all utterances.

    NaN where they never differ.
    """
    better = samples.errors[-1] < samples.errors[0]
    differ = samples.errors[-1] != samples.errors[0]
    right = (outcome.reached == len(samples.points) - 1) == better
    return float(right[differ].mean()) if differ.any() else float("nan"), float(right.mean())
