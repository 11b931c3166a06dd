"""What a cascade over emotion points gains, replayed on speakers that chose nothing about it.

Speakers are dealt to folds. On all folds but one the sign of doubt is chosen that recovers most of what the oracle
gains over chance, and the threshold that keeps the wish on new speakers with its confidence; the remaining fold is
routed so. All folds together are the
outcome. It stands beside fixed points, beside chance (each row sent to neighbouring points at random) and the oracle at
equal mean FLOPs, with speakers resampled as blocks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import isnan

import numpy as np

from allophone.errors import UsageError
from allophone.guarantee.limits import enough_speakers
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Interval, Replicates, intervals
from allophone.routing.cross_fitting import cross_fit
from allophone.routing.emotion_cascade import SIGNALS, EmotionCandidates, PosteriorRouter, Signal
from allophone.routing.recovery import LEAST_BLOCKS, LEAST_UTTERANCES, Recovery, judge_traces, mean_curve
from allophone.routing.replay import Outcome, replay, trace_router
from allophone.routing.routers import OracleRouter, RandomRouter, Router
from allophone.routing.samples import FloatArray, IntArray, RouteSamples
from allophone.routing.thresholds import Wish, choose_threshold, effective_speakers, find_threshold, nearest_threshold

__all__ = ["CascadeChoice", "CascadeResult", "choose_cascade", "route_emotion"]

FOLDS = 5
_REPLICATES = 2000
_CHOOSING = 200  # replicates where only the estimate is read


@dataclass(frozen=True, slots=True)
class CascadeChoice:
    """When to climb: where the sign of doubt is above the threshold."""

    signal: Signal
    threshold: float


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """A cascade on speakers that chose nothing about it.

    Args:
        n_rows: Rows that were routed, seeds counted.
        n_speakers: Of as many speakers.
        fixed: For every point: its name, UAR, mean GFLOPs, mean seconds, rows recognised.
        signals: How often each sign of doubt was chosen, over the folds.
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
        wish: What the threshold of all rows keeps on new speakers with its confidence, if ``promised``.
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
    wish: Wish
    promised: bool = True
    folds_unmet: int = 0


def route_emotion(
    candidates: EmotionCandidates, wish: Wish, *, seed: int = 0, n_replicates: int = _REPLICATES
) -> CascadeResult:
    """Judge a cascade over candidate points.

    Args:
        candidates: From :func:`allophone.routing.emotion_cascade.read_candidates`.
        wish: What the threshold is to reach: ``gflops`` or ``big_share``.
        seed: Of the folds.
        n_replicates: Of the bootstrap.

    Raises:
        UsageError: Fewer than two speakers, or a wish that means nothing.
        InfeasibleError: The wish is out of reach.
    """
    wish.check()
    samples = candidates.samples
    if samples.n_speakers < 2:
        raise UsageError("a cascade is chosen on some speakers and judged on others; this run has one. Measure more.")
    choose_cascade(candidates, wish)  # out of reach of all is out of reach
    outcome, signals, unmet = _cross_fitted(candidates, wish, seed)
    routers: list[Router] = [PosteriorRouter(signal, candidates.posteriors) for signal in SIGNALS]
    traces = [trace_router(samples, router) for router in (*routers, RandomRouter())]
    oracle = trace_router(samples, OracleRouter())
    resample = draw_blocks(samples.speakers, n_replicates=n_replicates)
    uar, over_chance, over_last, p_above = _judged(samples, outcome, resample)
    cost, columns = outcome.flops.mean(), np.arange(len(samples))
    best = mean_curve(oracle.flops.mean(axis=1), oracle.errors.sum(axis=1) / samples.words.sum(), np.array([cost]))
    hits = candidates.hits[outcome.kept, columns].sum()
    chance = np.interp(cost, samples.flops.mean(axis=1), candidates.hits.sum(axis=1))
    return CascadeResult(
        n_rows=len(samples),
        n_speakers=samples.n_speakers,
        fixed=tuple(
            (
                point.name,
                float(1 - samples.errors[k].sum() / samples.words.sum()),
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
        recoveries=tuple(judge_traces(samples, traces, oracle, "flops", n_replicates=n_replicates)),
        warning=resample.warning,
        wish=wish,
        promised=enough_speakers(effective_speakers(samples.speakers)),
        folds_unmet=unmet,
    )


def choose_cascade(candidates: EmotionCandidates, wish: Wish) -> CascadeChoice:
    """Choose the sign of doubt that recovers most of the oracle's gain, and the threshold that keeps the wish.

    Raises:
        InfeasibleError: The wish is out of reach.
    """
    router = PosteriorRouter(signal := _best_signal(candidates), candidates.posteriors)
    return CascadeChoice(signal, choose_threshold(candidates.samples, router, wish).threshold)


def _cross_fitted(candidates: EmotionCandidates, wish: Wish, seed: int) -> tuple[Outcome, dict[str, int], int]:
    """What becomes of every row, how often each sign was chosen, and in how many folds the wish was out of reach."""
    signals: Counter[str] = Counter()
    unmet = 0

    def route(others: IntArray, held_out: IntArray) -> Outcome:
        nonlocal unmet
        known, part = candidates.take(others), candidates.take(held_out)
        signals[signal := _best_signal(known)] += 1
        router = PosteriorRouter(signal, known.posteriors)
        chosen = find_threshold(known.samples, router, wish)
        unmet += chosen is None
        threshold = chosen.threshold if chosen else nearest_threshold(known.samples, router, wish)
        return replay(part.samples, PosteriorRouter(signal, part.posteriors), threshold)

    outcome = cross_fit(candidates.samples, route, n_folds=FOLDS, seed=seed)
    return outcome, dict(signals), unmet


def _best_signal(candidates: EmotionCandidates) -> Signal:
    samples = candidates.samples
    traces = [trace_router(samples, PosteriorRouter(signal, candidates.posteriors)) for signal in SIGNALS]
    oracle = trace_router(samples, OracleRouter())
    shares = [found.share for found in judge_traces(samples, traces, oracle, "flops", n_replicates=_CHOOSING)]
    return SIGNALS[max(range(len(SIGNALS)), key=lambda k: -1.0 if isnan(shares[k]) else shares[k])]


def _judged(samples: RouteSamples, outcome: Outcome, resample: Resample) -> tuple[Interval, Interval, Interval, float]:
    """UAR, its distance to chance at equal mean FLOPs and to the last point, in the estimate and in every replicate."""
    weights = np.concatenate([np.ones((1, resample.n_blocks)), *resample.weights()])

    def sums(values: FloatArray) -> FloatArray:
        found: FloatArray = weights @ resample.block_sums(values)
        return found

    below, count = sums(samples.words[None]), sums(np.ones((1, len(samples))))
    lost, costs = sums(samples.errors) / below, sums(samples.flops) / count
    own, cost = (sums(outcome.errors[None]) / below)[:, 0], (sums(outcome.flops[None]) / count)[:, 0]
    chance = np.array([np.interp(at, line, wers) for at, line, wers in zip(cost, costs, lost, strict=True)])
    values = np.stack([1 - own, chance - own, lost[:, -1] - own], axis=1)
    replicates = Replicates(resample, values[0], values[1:], least=-np.inf)
    uar, over_chance, over_last = intervals(replicates)
    uar = replace(uar, low=max(uar.low, 0.0), high=min(uar.high, 1.0))  # few speakers widen it beyond what can be
    telling = resample.n_blocks >= LEAST_BLOCKS and len(samples) >= LEAST_UTTERANCES
    above = float((replicates.widened()[:, 1] > 0).mean()) if telling else float("nan")
    return uar, over_chance, over_last, above
