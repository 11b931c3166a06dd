"""A cascade over points of an emotion run: the short or small one first, the next where its posterior is unsure.

It is replayed from the ledger through the same routers, curves and judges as speech recognition, with errors in place
of word errors. An error weighs ``N / (C · n_c)`` for a reference of class ``c``, of which there are ``n_c`` among ``N``
rows and ``C`` classes, so that the errors over the weights of all rows are one minus the UAR. Seeds count as rows of
their own.

There are three uncertainty measures: one minus the greatest probability, one minus its margin over the second, and the
entropy over its maximum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Literal

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.errors import UsageError
from allophone.frontier.run_state import share_rows
from allophone.guarantee.limits import enough_speakers
from allophone.ledger.readers import connect
from allophone.ledger.run_record import EmotionRunRecord, read_run
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates
from allophone.measure.intervals import Interval, intervals
from allophone.records.names import find_named
from allophone.records.point import EmotionSetting
from allophone.routing.cross_fitting import cross_fit
from allophone.routing.recovery import LEAST_BLOCKS, LEAST_UTTERANCES, Recovery, mean_curve, recovered_gains
from allophone.routing.replay import Outcome, replay, sweep_thresholds
from allophone.routing.routers import OracleRouter, Order, Overhead, RandomRouter, Router, last_kept
from allophone.routing.samples import RouteSamples
from allophone.routing.thresholds import (
    CalibrationTarget,
    choose_threshold,
    effective_speakers,
    find_threshold,
    nearest_threshold,
)

__all__ = [
    "SIGNALS",
    "CascadeChoice",
    "CascadeResult",
    "EmotionCandidates",
    "ProbabilityRouter",
    "UncertaintyMeasure",
    "choose_cascade",
    "read_candidates",
    "route_emotion",
    "uncertainty",
]

UncertaintyMeasure = Literal["max_probability", "margin", "entropy"]
SIGNALS: tuple[UncertaintyMeasure, ...] = ("max_probability", "margin", "entropy")


@dataclass(frozen=True, slots=True, eq=False)
class EmotionCandidates:
    """Candidate points on the rows that all of them have.

    Args:
        samples: One utterance per row; ``errors`` are the weights of the misses.
        hits: Whether each row was recognised, shape (n_points, n_rows).
        probabilities: Shape (n_points, n_rows, n_classes).
    """

    samples: RouteSamples
    hits: FloatArray
    probabilities: FloatArray

    def take(self, indices: IntArray) -> EmotionCandidates:
        """Return some rows only."""
        return EmotionCandidates(self.samples.take(indices), self.hits[:, indices], self.probabilities[:, indices])


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityRouter:
    """Escalates where the posterior of the point that ran is uncertain.

    Args:
        signal: What is looked at.
        probabilities: Of the rows that it scores, shape (n_points, n_rows, n_classes).
    """

    signal: UncertaintyMeasure
    probabilities: FloatArray

    @property
    def name(self) -> str:
        """Short name for tables."""
        return f"cascade on {self.signal.replace('_', ' ')}"

    @property
    def order(self) -> Order:
        """Whole points in turn."""
        return "cascade"

    @property
    def overhead(self) -> Overhead:
        """Reading a handful of probabilities costs nothing worth counting."""
        return Overhead()

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Return the doubt of every point but the last, shape (n_points - 1, n_rows)."""
        return uncertainty(self.probabilities[:-1], self.signal)

    def kept(self, samples: RouteSamples) -> IntArray:
        """Keep the decision of the point reached."""
        return last_kept(samples)


def uncertainty(probabilities: FloatArray, signal: UncertaintyMeasure) -> FloatArray:
    """Return how unsure probabilities are, from 0 (certain) to at most 1, over their last axis.

    Args:
        probabilities: Probabilities of the classes, last axis.
        signal: What is looked at.
    """
    if signal == "max_probability":
        return np.asarray(1 - probabilities.max(axis=-1))
    if signal == "margin":
        ranked = np.sort(probabilities, axis=-1)
        return np.asarray(1 - (ranked[..., -1] - ranked[..., -2]))
    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return np.asarray(-(probabilities * logs).sum(axis=-1) / np.log(probabilities.shape[-1]))


_ROWS = """
SELECT utterance_id, speaker, label, duration_s, correct, executed_flops, latency_s, posterior
FROM measurements SEMI JOIN shared USING (utterance_index, seed) WHERE point = ? ORDER BY seed, utterance_index
"""


def read_candidates(folder: Path, names: Sequence[str]) -> EmotionCandidates:
    """Read the candidate points of an emotion run on the rows that all have.

    Args:
        folder: The run.
        names: Names of two or more points, cheap to dear.

    Raises:
        LedgerError: Not a run, or nothing measured.
        UsageError: A run of speech recognition, an unknown point, no shared row, or points not from cheap to dear.
    """
    run = read_run(folder, EmotionRunRecord)
    points = _find_points(run, folder, names)
    with connect(folder) as connection:
        connection.execute("CREATE TEMP TABLE asked AS SELECT unnest(?) AS name", [[point.name for point in points]])
        share_rows(connection, EmotionRunRecord.keys, len(points))
        tables = [connection.execute(_ROWS, [point.name]).fetchall() for point in points]
    if not tables[0]:
        raise UsageError(f"{folder}: no utterance is measured at all of {', '.join(names)} yet. Let its sweep go on.")
    classes = np.array([run.labels.index(row[2]) for row in tables[0]])
    counts = np.bincount(classes, minlength=len(run.labels))
    weights = len(classes) / ((counts > 0).sum() * counts[classes])
    hits, flops, seconds = (np.array([[float(row[k]) for row in table] for table in tables]) for k in (4, 5, 6))
    means = flops.mean(axis=1)
    for index in np.flatnonzero(np.diff(means) <= 0):
        raise UsageError(
            f"{points[index + 1].title} runs no more FLOPs than {points[index].title}: name points from cheap to dear; "
            "adaptation costs nothing at inference, so vary the duration or the encoder."
        )
    samples = RouteSamples(
        points=points,
        runs=(folder,),
        domains=np.zeros(len(classes), np.intp),
        utterances=tuple(str(row[0]) for row in tables[0]),
        speakers=tuple(row[1] for row in tables[0]),
        weights=weights,
        duration_s=np.array([row[3] for row in tables[0]], np.float64),
        errors=(1 - hits) * weights,
        flops=flops,
        latency_s=seconds,
        confidence_s=np.zeros_like(seconds),  # the posterior is there anyway
    )
    return EmotionCandidates(samples, hits, np.array([[row[7] for row in table] for table in tables], np.float64))


def _find_points(run: EmotionRunRecord, folder: Path, names: Sequence[str]) -> tuple[EmotionSetting, ...]:
    found = find_named(names, run.points, str(folder))
    if len(set(found)) < max(2, len(found)):
        raise UsageError(f"{', '.join(names) or 'no point'}: a cascade takes two or more different points.")
    return tuple(found)


FOLDS = 5
_REPLICATES = 2000
_CHOOSING = 200  # replicates where only the estimate is read


@dataclass(frozen=True, slots=True)
class CascadeChoice:
    """When to escalate: where the uncertainty measure is above the threshold."""

    signal: UncertaintyMeasure
    threshold: float


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """A cascade on speakers that chose nothing about it.

    Args:
        n_rows: Rows that were routed, seeds counted.
        n_speakers: Of as many speakers.
        fixed: For every point: its name, UAR, mean GFLOPs, mean seconds, rows recognised.
        signals: How often each uncertainty measure was chosen, over the folds.
        uar: Of the cascade.
        over_chance: UAR over that of chance at equal mean FLOPs.
        p_above: Probability that it is above; NaN below 5 speakers or 20 rows.
        over_last: UAR over that of always the last point.
        oracle_uar: Of the oracle at equal mean FLOPs.
        gflops: Mean executed GFLOPs of all that ran.
        seconds: Likewise.
        climbed: Share of rows that reached the last point.
        saved_over_first: Rows recognised more than by always the first point.
        saved_over_chance: Rows recognised more than by chance at equal mean FLOPs, as expected.
        recoveries: Every signal and the coin along all costs: nothing is chosen there.
        warning: What a reader of the intervals must know, or None.
        goal: What the threshold of all rows keeps on new speakers with its confidence, if ``promised``.
        promised: Whether there are speakers enough for that.
        folds_unmet: Folds whose other speakers did not suffice for it; the nearest threshold stood in.
    """

    n_rows: int
    n_speakers: int
    fixed: tuple[tuple[str, float, float, float, int], ...]
    signals: dict[str, int]
    uar: Interval
    over_chance: Interval
    p_above: float
    over_last: Interval
    oracle_uar: float
    gflops: float
    seconds: float
    climbed: float
    saved_over_first: int
    saved_over_chance: float
    recoveries: tuple[Recovery, ...]
    warning: str | None
    goal: CalibrationTarget
    promised: bool = True
    folds_unmet: int = 0


def route_emotion(
    candidates: EmotionCandidates, goal: CalibrationTarget, *, seed: int = 0, n_replicates: int = _REPLICATES
) -> CascadeResult:
    """Judge a cascade over candidate points.

    Args:
        candidates: From :func:`allophone.routing.emotion.read_candidates`.
        goal: What the threshold is to reach: ``gflops`` or ``big_share``.
        seed: Of the folds.
        n_replicates: Of the bootstrap.

    Raises:
        UsageError: Fewer than two speakers, or a target that means nothing.
        InfeasibleError: The target is out of reach.
    """
    goal.check()
    samples = candidates.samples
    if samples.n_speakers < 2:
        raise UsageError("a cascade is chosen on some speakers and judged on others; this run has one. Measure more.")
    choose_cascade(candidates, goal)  # out of reach of all is out of reach
    outcome, signals, unmet = _cross_fitted(candidates, goal, seed)
    routers: list[Router[RouteSamples]] = [ProbabilityRouter(signal, candidates.probabilities) for signal in SIGNALS]
    traces = [sweep_thresholds(samples, router) for router in (*routers, RandomRouter())]
    oracle = sweep_thresholds(samples, OracleRouter())
    resample = draw_blocks(samples.speakers, n_replicates=n_replicates)
    uar, over_chance, over_last, p_above = _judged(samples, outcome, resample)
    cost, columns = outcome.flops.mean(), np.arange(len(samples))
    best = mean_curve(oracle.flops.mean(axis=1), oracle.errors.sum(axis=1) / samples.weights.sum(), np.array([cost]))
    hits = candidates.hits[outcome.kept, columns].sum()
    chance = np.interp(cost, samples.flops.mean(axis=1), candidates.hits.sum(axis=1))
    return CascadeResult(
        n_rows=len(samples),
        n_speakers=samples.n_speakers,
        fixed=tuple(
            (
                point.name,
                float(1 - samples.errors[k].sum() / samples.weights.sum()),
                float(samples.flops[k].mean() / 1e9),
                float(samples.latency_s[k].mean()),
                int(candidates.hits[k].sum()),
            )
            for k, point in enumerate(samples.points)
        ),
        signals=signals,
        uar=uar,
        over_chance=over_chance,
        p_above=p_above,
        over_last=over_last,
        oracle_uar=float(1 - best[0]),
        gflops=float(cost / 1e9),
        seconds=float(outcome.seconds.mean()),
        climbed=float((outcome.reached == len(samples.points) - 1).mean()),
        saved_over_first=int(hits - candidates.hits[0].sum()),
        saved_over_chance=float(hits - chance),
        recoveries=tuple(recovered_gains(samples, traces, oracle, "flops", n_replicates=n_replicates)),
        warning=resample.warning,
        goal=goal,
        promised=enough_speakers(effective_speakers(samples.speakers)),
        folds_unmet=unmet,
    )


def choose_cascade(candidates: EmotionCandidates, goal: CalibrationTarget) -> CascadeChoice:
    """Choose the uncertainty measure that recovers most of the oracle's gain, and the threshold that keeps the target.

    Raises:
        InfeasibleError: The target is out of reach.
    """
    router = ProbabilityRouter(signal := _best_signal(candidates), candidates.probabilities)
    return CascadeChoice(signal, choose_threshold(candidates.samples, router, goal).threshold)


def _cross_fitted(
    candidates: EmotionCandidates, goal: CalibrationTarget, seed: int
) -> tuple[Outcome, dict[str, int], int]:
    """What becomes of every row, how often each sign was chosen, and in how many folds the target was out of reach."""
    signals: Counter[str] = Counter()
    unmet = 0

    def route(others: IntArray, held_out: IntArray) -> Outcome:
        nonlocal unmet
        known, part = candidates.take(others), candidates.take(held_out)
        signals[signal := _best_signal(known)] += 1
        router = ProbabilityRouter(signal, known.probabilities)
        chosen = find_threshold(known.samples, router, goal)
        unmet += chosen is None
        threshold = chosen.threshold if chosen else nearest_threshold(known.samples, router, goal)
        return replay(part.samples, ProbabilityRouter(signal, part.probabilities), threshold)

    outcome = cross_fit(candidates.samples, route, n_folds=FOLDS, seed=seed)
    return outcome, dict(signals), unmet


def _best_signal(candidates: EmotionCandidates) -> UncertaintyMeasure:
    samples = candidates.samples
    traces = [sweep_thresholds(samples, ProbabilityRouter(signal, candidates.probabilities)) for signal in SIGNALS]
    oracle = sweep_thresholds(samples, OracleRouter())
    shares = [found.share for found in recovered_gains(samples, traces, oracle, "flops", n_replicates=_CHOOSING)]
    return SIGNALS[max(range(len(SIGNALS)), key=lambda k: -1.0 if isnan(shares[k]) else shares[k])]


def _judged(samples: RouteSamples, outcome: Outcome, resample: Resample) -> tuple[Interval, Interval, Interval, float]:
    """UAR, its distance to chance at equal mean FLOPs and to the last point, in the estimate and in every replicate."""
    weights = np.concatenate([np.ones((1, resample.n_blocks)), *resample.weights()])

    def sums(values: FloatArray) -> FloatArray:
        found: FloatArray = weights @ resample.block_sums(values)
        return found

    below, count = sums(samples.weights[None]), sums(np.ones((1, len(samples))))
    lost, costs = sums(samples.errors) / below, sums(samples.flops) / count
    own, cost = (sums(outcome.errors[None]) / below)[:, 0], (sums(outcome.flops[None]) / count)[:, 0]
    chance = np.array([np.interp(at, line, wers) for at, line, wers in zip(cost, costs, lost, strict=True)])
    values = np.stack([1 - own, chance - own, lost[:, -1] - own], axis=1)
    replicates = Replicates(resample, values[0], values[1:], least=-np.inf)
    uar, over_chance, over_last = intervals(replicates)
    uar = replace(uar, low=max(uar.low, 0.0), high=min(uar.high, 1.0))  # few speakers widen it beyond what can be
    telling = resample.n_blocks >= LEAST_BLOCKS and len(samples) >= LEAST_UTTERANCES
    above = float((replicates.inflated()[:, 1] > 0).mean()) if telling else float("nan")
    return uar, over_chance, over_last, above
