"""Recovered gain: how much of what an oracle gains over chance a router recovers at equal cost.

All curves are read at equal mean cost an utterance. The reference below is chance: each utterance sent to neighbouring
points of the list at random, so the straight lines between the points' own (cost, error rate). The reference above is
the oracle, which chooses before anything runs and wastes nothing; a router pays for whatever it ran in order to decide.
The share recovered is the area between chance and router over the area between chance and oracle, over the middle half
of the costs between the first and the last point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from allophone.arrays import FloatArray
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates
from allophone.measure.intervals import Interval, intervals
from allophone.routing.replay import ThresholdSweep
from allophone.routing.routers import RandomRouter
from allophone.routing.samples import RouteSamples

__all__ = [
    "CURVE_POSITIONS",
    "LEAST_BLOCKS",
    "LEAST_UTTERANCES",
    "MIDDLE_HALF",
    "CostKind",
    "Recovery",
    "mean_curve",
    "recovered_gains",
    "recovered_share",
]

CostKind = Literal["flops", "seconds"]
CURVE_POSITIONS = np.linspace(0, 1, 41)  # 0: the first point's cost, 1: the last one's
MIDDLE_HALF = (CURVE_POSITIONS >= 0.25) & (CURVE_POSITIONS <= 0.75)
REPLICATES = 2000
LEAST_BLOCKS, LEAST_UTTERANCES = 5, 20  # below, a probability would say more than is known


@dataclass(frozen=True, slots=True, eq=False)
class Recovery:
    """One router on one cost axis; arrays have one entry per position of :data:`CURVE_POSITIONS`.

    Args:
        name: The router.
        cost: Mean cost an utterance: FLOPs or seconds.
        wer: Of the router at that cost, NaN where it cannot spend so little.
        chance: Of random mixing.
        oracle: Of the oracle.
        share: Area recovered over the middle half; NaN where the oracle gains nothing.
        interval: Of the share, speakers resampled.
        p_above: Probability that the router is better than chance, averaged over the middle half; NaN for the random
            router, which is chance, and below 5 speakers or 20 utterances, which say too little.
        p_lowest: The least such probability of any single position of the middle half.
    """

    name: str
    cost: FloatArray
    wer: FloatArray
    chance: FloatArray
    oracle: FloatArray
    share: float
    interval: Interval
    p_above: float
    p_lowest: float


def mean_curve(cost: FloatArray, wer: FloatArray, at: FloatArray) -> FloatArray:
    """Read a curve at given mean costs; NaN below its first cost, level above its last.

    Two thresholds mixed at random make every cost between theirs, so the curve is linear between neighbours.

    Args:
        cost: Mean cost at each threshold, shape (n_thresholds,).
        wer: Error rate there.
        at: Costs to read at.
    """
    order = np.argsort(cost, kind="stable")
    cost, wer = cost[order], wer[order]
    return np.where(at < cost[0] * (1 - 1e-12), np.nan, np.interp(at, cost, wer))


def _curves(
    errors: FloatArray, costs: FloatArray, fixed: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return cost grid, chance and the trace's error rates there, from rates and mean costs."""
    wers, means = fixed
    at = means[0] + CURVE_POSITIONS * (means[-1] - means[0])
    return at, np.interp(at, means, wers), mean_curve(costs, errors, at)


def recovered_share(chance: FloatArray, routed: FloatArray, oracle: FloatArray) -> float:
    """Return the area between chance and router over that between chance and oracle, over the middle half.

    Where a router cannot spend so little, the first point stands for it.
    """
    gap = (chance - oracle)[MIDDLE_HALF].sum()
    return float(_gains(chance, routed)[MIDDLE_HALF].sum() / gap) if gap > 0 else float("nan")


def _gains(chance: FloatArray, routed: FloatArray) -> FloatArray:
    return np.where(np.isnan(routed), chance - chance[0], chance - routed)


def recovered_gains(
    samples: RouteSamples,
    traces: Sequence[ThresholdSweep],
    oracle: ThresholdSweep,
    kind: CostKind = "flops",
    *,
    level: float = 0.95,
    n_replicates: int = REPLICATES,
) -> list[Recovery]:
    """Compare routers with chance and the oracle at equal cost, speakers resampled together.

    Args:
        samples: The utterances.
        traces: The routers, replayed on them.
        oracle: The oracle, replayed on them.
        kind: Which cost.
        level: Of the intervals.
        n_replicates: Of the bootstrap.
    """
    resample = draw_blocks(samples.speakers, n_replicates=n_replicates)
    weights = np.concatenate([np.ones((1, resample.n_blocks)), *resample.weights()])
    words = _sums(resample, samples.weights[None], weights)[:, 0]
    counts = _sums(resample, np.ones((1, len(samples))), weights)[:, 0]
    words[words == 0] = np.nan

    def rates(errors: FloatArray, costs: FloatArray) -> tuple[FloatArray, FloatArray]:
        return _sums(resample, errors, weights) / words[:, None], _sums(resample, costs, weights) / counts[:, None]

    fixed = rates(samples.errors, samples.flops if kind == "flops" else samples.latency_s)
    best = rates(oracle.errors, getattr(oracle, kind))
    found = []
    for trace in traces:
        own = rates(trace.errors, getattr(trace, kind))
        rows = []
        for row in range(len(weights)):
            ends = (fixed[0][row], fixed[1][row])
            at, chance, routed = _curves(own[0][row], own[1][row], ends)
            rows.append((at, chance, routed, mean_curve(best[1][row], best[0][row], at)))
        found.append(_recovery(trace.name, resample, rows, level))
    return found


def _recovery(name: str, resample: Resample, rows: Sequence[tuple[FloatArray, ...]], level: float) -> Recovery:
    at, chance, routed, oracle = rows[0]
    shares = np.array([recovered_share(row[1], row[2], row[3]) for row in rows])
    gains = np.array([_gains(row[1], row[2]) for row in rows])[:, MIDDLE_HALF]
    gains = np.concatenate([gains, gains.mean(axis=1, keepdims=True)], axis=1)
    replicates = Replicates(resample, gains[0], gains[1:], least=-np.inf)
    telling = resample.n_blocks >= LEAST_BLOCKS and len(resample.blocks) >= LEAST_UTTERANCES
    telling = telling and name != RandomRouter().name
    above = (replicates.inflated() > 0).mean(axis=0) if telling else np.full(gains.shape[1], np.nan)
    share = Replicates(resample, shares[:1], shares[1:, None], least=-np.inf)
    return Recovery(
        name=name,
        cost=at,
        wer=routed,
        chance=chance,
        oracle=oracle,
        share=float(shares[0]),
        interval=intervals(share, level)[0],
        p_above=float(above[-1]),
        p_lowest=float(above[:-1].min()),
    )


def _sums(resample: Resample, values: FloatArray, weights: FloatArray) -> FloatArray:
    sums: FloatArray = weights @ resample.block_sums(values)
    return sums
