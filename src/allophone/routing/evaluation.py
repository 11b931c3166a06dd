"""Evaluation of a policy on unseen runs: its curve beside chance, oracle, baselines and the static frontier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from allophone.arrays import FloatArray
from allophone.files import json_text
from allophone.frontier.dominance import frontier_mask
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import Interval
from allophone.routing.calibration import policy_samples
from allophone.routing.feature_store import snr_values
from allophone.routing.recovery import MIDDLE_HALF, Recovery, recovered_gains
from allophone.routing.replay import break_even, sweep_thresholds
from allophone.routing.router_metrics import SAVING_GAP, RouterMetrics, router_metrics
from allophone.routing.routers import DurationRouter, OracleRouter, RandomRouter, Router, SnrRouter
from allophone.routing.samples import RecognitionRouteSamples
from allophone.routing.scoring import ReplayedPolicy
from allophone.routing.threshold_metrics import ThresholdMetrics, threshold_metrics

__all__ = ["DomainResult", "Evaluation", "evaluate_policy", "evaluate_routers"]

_REPLICATES = 2000
METRIC_REPLICATES = 1000  # each draws the hull of every router's curve


@dataclass(frozen=True, slots=True)
class DomainResult:
    """One run's utterances, or all together.

    Args:
        name: The run, or ``all``.
        n_utterances: How many.
        n_speakers: How many.
        fixed: For every point: its name, error rate, mean GFLOPs, mean seconds.
        frontier: Likewise for every point of the runs that is on the static frontier in error rate and GFLOPs; empty
            for all together where runs hold different points.
        flops: Routers against mean executed FLOPs.
        seconds: Routers against mean seconds.
        policy: The policy at its threshold.
        metrics: Routers by the metrics of RouterBench and RouteLLM.
        break_even_flops: Share to the last point below which the policy's order is cheaper than the last alone.
        break_even_seconds: Likewise.
        warning: What a reader of the intervals must know, or None.
    """

    name: str
    n_utterances: int
    n_speakers: int
    fixed: tuple[tuple[str, float, float, float], ...]
    frontier: tuple[tuple[str, float, float, float], ...]
    flops: tuple[Recovery, ...]
    seconds: tuple[Recovery, ...]
    policy: ThresholdMetrics
    metrics: tuple[RouterMetrics, ...]
    break_even_flops: float | None
    break_even_seconds: float | None
    warning: str | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A policy, evaluated.

    Args:
        policy: Its folder.
        left_out: Utterances of speakers that it was trained on, not counted.
        results: All runs together, then each run where there are several.
    """

    policy: str
    left_out: int
    results: tuple[DomainResult, ...]

    def to_json(self) -> str:
        """Return it as JSON: fractions, GFLOPs, seconds; what is undefined is null."""
        found = {"policy": self.policy, "left_out": self.left_out, "results": [_plain(item) for item in self.results]}
        return json_text(found)


def evaluate_policy(
    folder: str | Path, runs: Sequence[str | Path], *, threshold: float | None = None, n_replicates: int = _REPLICATES
) -> Evaluation:
    """Replay a policy on runs, without inference but for what a decider sees of the audio where a run lacks that.

    Args:
        folder: The policy's folder.
        runs: Runs with all its points; speakers that it was trained on are left out.
        threshold: Where to stand; the policy's own where None.
        n_replicates: Of the bootstrap.

    Raises:
        UsageError: A run lacks a point, or all speakers were trained on.
    """
    router, samples, left_out = policy_samples(Path(folder), [Path(run) for run in runs])
    threshold = router.policy.threshold if threshold is None else threshold
    snr_db = snr_values(samples)
    results = [evaluate_routers(samples, router, threshold, snr_db=snr_db, n_replicates=n_replicates)]
    if len(samples.runs) > 1:
        for domain, run in enumerate(samples.runs):
            indices = np.flatnonzero(samples.domains == domain)
            if indices.size:
                part = router.on(indices)
                one = replace(samples.take(indices), runs=(run,))
                noise = None if snr_db is None else snr_db[indices]
                results.append(
                    evaluate_routers(one, part, threshold, snr_db=noise, name=run.name, n_replicates=n_replicates)
                )
    return Evaluation(str(folder), left_out, tuple(results))


def evaluate_routers(
    samples: RecognitionRouteSamples,
    router: ReplayedPolicy,
    threshold: float,
    *,
    snr_db: FloatArray | None = None,
    name: str = "all",
    n_replicates: int = _REPLICATES,
) -> DomainResult:
    """Judge a policy and the weak baselines on some utterances.

    Args:
        samples: The utterances.
        router: The policy.
        threshold: Where it stands.
        snr_db: Signal over noise of every utterance in decibels; None leaves the baseline on it out.
        name: What tables call these utterances.
        n_replicates: Of the bootstrap.
    """
    routers: list[Router[RecognitionRouteSamples]] = [router, DurationRouter(), DurationRouter(-1), RandomRouter()]
    if snr_db is not None:
        routers.append(SnrRouter(snr_db))
    traces = [sweep_thresholds(samples, item) for item in routers]
    oracle = sweep_thresholds(samples, OracleRouter())
    resample = draw_blocks(samples.speakers, n_replicates=n_replicates)
    fixed = tuple(
        (
            point.name,
            _wer(samples, samples.errors[index]),
            samples.flops[index].mean() / 1e9,
            samples.latency_s[index].mean(),
        )
        for index, point in enumerate(samples.points)
    )
    return DomainResult(
        name=name,
        n_utterances=len(samples),
        n_speakers=samples.n_speakers,
        fixed=fixed,
        frontier=_static_frontier(samples) if len(samples.runs) == 1 else (),
        flops=tuple(recovered_gains(samples, traces, oracle, "flops", n_replicates=n_replicates)),
        seconds=tuple(recovered_gains(samples, traces, oracle, "seconds", n_replicates=n_replicates)),
        policy=threshold_metrics(samples, router, threshold, n_replicates=n_replicates),
        metrics=router_metrics(samples, traces, n_replicates=min(n_replicates, METRIC_REPLICATES)),
        break_even_flops=break_even(samples, router.order, router.overhead),
        break_even_seconds=break_even(samples, router.order, router.overhead, seconds=True),
        warning=resample.warning,
    )


def _wer(samples: RecognitionRouteSamples, errors: FloatArray) -> float:
    words = samples.weights.sum()
    return float(errors.sum() / words) if words else float("nan")


def _static_frontier(samples: RecognitionRouteSamples) -> tuple[tuple[str, float, float, float], ...]:
    points = summarise_run(samples.runs[0], RecognitionRunSummary).points
    values = np.array([[point.wer, point.executed_gflops] for point in points])
    on = np.flatnonzero(frontier_mask(values))
    listed = [(points[i].name, points[i].wer, points[i].executed_gflops, points[i].latency_mean_s) for i in on]
    return tuple(sorted(listed, key=lambda item: item[2]))


def _plain(result: DomainResult) -> dict[str, Any]:
    def recoveries(items: Sequence[Recovery]) -> dict[str, Any]:
        first = items[0]
        shared = {name: _numbers(getattr(first, name)) for name in ("cost", "chance", "oracle")}
        return {**shared, "routers": [recovery(item) for item in items]}

    def recovery(item: Recovery) -> dict[str, Any]:
        return {
            "router": item.name,
            "recovered_share": _number(item.share),
            "interval": [_number(item.interval.low), _number(item.interval.high)],
            "p_above_chance": _number(item.p_above),
            "p_above_chance_lowest": _number(item.p_lowest),
            "area_over_chance": _number(float(np.nanmean((item.chance - item.wer)[MIDDLE_HALF])))
            if np.isfinite(item.wer[MIDDLE_HALF]).any()
            else None,
            "wer": _numbers(item.wer),
        }

    def metrics(item: RouterMetrics) -> dict[str, Any]:
        values = {name: getattr(item, name) for name in _METRICS}
        return {"router": item.name, **{name: _triple(value) for name, value in values.items()}}

    at = result.policy
    return {
        "name": result.name,
        "n_utterances": result.n_utterances,
        "n_speakers": result.n_speakers,
        "fixed": [dict(zip(_POINT_KEYS, item, strict=True)) for item in result.fixed],
        "static_frontier": [dict(zip(_POINT_KEYS, item, strict=True)) for item in result.frontier],
        "against_flops": recoveries(result.flops),
        "against_seconds": recoveries(result.seconds),
        "at_threshold": {
            "threshold": at.threshold,
            **{
                key: _triple(item)
                for key, item in (
                    ("wer", at.wer),
                    ("wer_over_last", at.wer_over_last),
                    ("wer_over_oracle", at.wer_over_oracle),
                    ("p_worse", at.p_worse),
                    ("p_better", at.p_better),
                    ("gflops", at.gflops),
                    ("seconds", at.seconds),
                )
            },
            "flops_of_last": at.flops_of_last,
            "seconds_of_last": at.seconds_of_last,
            "climbed": at.share_escalated,
            "accuracy": _number(at.accuracy),
            "accuracy_all": at.accuracy_all,
        },
        "router_metrics": {"saving_gap_wer": SAVING_GAP, "routers": [metrics(item) for item in result.metrics]},
        "break_even_share_flops": result.break_even_flops,
        "break_even_share_seconds": result.break_even_seconds,
        "warning": result.warning,
    }


_METRICS = tuple(field.name for field in fields(RouterMetrics) if field.name != "name")
_POINT_KEYS = ("point", "wer", "gflops", "seconds")


def _triple(item: Interval) -> list[float | None]:
    return [_number(item.estimate), _number(item.low), _number(item.high)]


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if isfinite(value) else None


def _numbers(values: FloatArray) -> list[float | None]:
    return [_number(value) for value in values.tolist()]
