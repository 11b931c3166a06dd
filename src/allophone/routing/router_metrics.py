"""Router metrics of the literature, each with its interval over speakers: AIQ, APGR, CPT, cost saved.

Quality is one minus the word error rate, cost the mean per utterance of all that ran, deciding included. Between two
thresholds every mixture can be had, so curves are linear there. All are read off the curve of the speakers at hand, so
they compare routers and promise nothing of a threshold that is set beforehand (``threshold_metrics`` tells that).

- AIQ, average improvement in quality (RouterBench, arXiv 2403.12031, section 3): area under the non-decreasing convex
  hull of quality over cost, from the first point's cost to the last one's, divided by that range. The first point alone
  belongs to the hull, since nobody has to route.
- APGR, average performance gap recovered (RouteLLM, arXiv 2406.18665, section 3): with ``PGR = (q - q_first) /
  (q_last - q_first)``, its mean over shares of calls to the last point from 0 to 1. A random router has 0.5.
- CPT(50 %), call-performance threshold (likewise): least share of calls to the last point that recovers half the gap.
- Cost saved: one minus the least cost at which the router is as good as always the last point, over that point's cost;
  0 where it never is, for the last point alone can be had. Also at a word error rate :data:`SAVING_GAP` higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allophone.arrays import FloatArray
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import Replicates
from allophone.measure.intervals import Interval, intervals
from allophone.routing.replay import ThresholdSweep
from allophone.routing.samples import RouteSamples

__all__ = ["SAVING_GAP", "RouterMetrics", "average_quality", "first_crossing", "router_metrics"]

SAVING_GAP = 0.005  # of the word error rate
_SHARES = np.linspace(0, 1, 101)
_HALF = 0.5
_REPLICATES = 1000


@dataclass(frozen=True, slots=True)
class RouterMetrics:
    """One router; the module's docstring defines every number. Undefined ones are NaN.

    Args:
        name: The router.
        aiq: Against executed FLOPs.
        apgr: Undefined where the last point is no better than the first.
        cpt50: Likewise.
        flops_saved: At equal word error rate.
        seconds_saved: Likewise.
        flops_saved_at_gap: At a word error rate :data:`SAVING_GAP` higher.
        seconds_saved_at_gap: Likewise.
    """

    name: str
    aiq: Interval
    apgr: Interval
    cpt50: Interval
    flops_saved: Interval
    seconds_saved: Interval
    flops_saved_at_gap: Interval
    seconds_saved_at_gap: Interval


def router_metrics(
    samples: RouteSamples, traces: Sequence[ThresholdSweep], *, n_replicates: int = _REPLICATES
) -> tuple[RouterMetrics, ...]:
    """Measure routers, speakers resampled together.

    Args:
        samples: The utterances.
        traces: The routers, replayed on them.
        n_replicates: Of the bootstrap.
    """
    resample = draw_blocks(samples.speakers, n_replicates=n_replicates)
    weights = np.concatenate([np.ones((1, resample.n_blocks)), *resample.weights()])

    def rates(values: FloatArray, below: FloatArray) -> FloatArray:
        """Shape (n_replicates + 1, n_rows); the first row is the estimate."""
        under = weights @ resample.block_sums(below[None])
        under[under == 0] = np.nan
        found: FloatArray = weights @ resample.block_sums(values) / under
        return found

    ones = np.ones(len(samples))
    fixed_wer = rates(samples.errors[[0, -1]], samples.weights)
    fixed = {"flops": rates(samples.flops[[0, -1]], ones), "seconds": rates(samples.latency_s[[0, -1]], ones)}
    measured = []
    for trace in traces:
        wer = rates(trace.errors, samples.weights)
        climbed = rates((trace.reached == len(samples.points) - 1).astype(np.float64), ones)
        recovered = _recovered(wer, fixed_wer)
        costs = {kind: rates(getattr(trace, kind), ones) for kind in fixed}
        read = zip(climbed, recovered, strict=True)
        values = {
            "aiq": average_quality(costs["flops"], 1 - wer, fixed["flops"], 1 - fixed_wer),
            "apgr": np.array([np.trapezoid(np.interp(_SHARES, share, gain), _SHARES) for share, gain in read]),
            "cpt50": np.minimum(first_crossing(climbed, recovered, np.full(len(wer), _HALF)), 1.0),
        }
        for gap, suffix in ((0.0, ""), (SAVING_GAP, "_at_gap")):
            for kind, cost in costs.items():
                least = first_crossing(cost, -wer, -(fixed_wer[:, 1] + gap))
                values[f"{kind}_saved{suffix}"] = np.maximum(1 - least / fixed[kind][:, 1], 0.0)
        columns = np.stack(list(values.values()), axis=1)
        least = np.where(np.isin(list(values), ["aiq", "apgr"]), -np.inf, 0.0)  # the others are shares
        found = intervals(Replicates(resample, columns[0], columns[1:], least=least))
        measured.append(RouterMetrics(trace.name, **dict(zip(values, found, strict=True))))
    return tuple(measured)


def average_quality(cost: FloatArray, quality: FloatArray, ends: FloatArray, fixed: FloatArray) -> FloatArray:
    """Return RouterBench's AIQ of every row: area under the non-decreasing concave hull over the range of costs.

    Args:
        cost: Of a router at its thresholds, shape (n_rows, n_thresholds).
        quality: There.
        ends: Cost of the first point and of the last, shape (n_rows, 2).
        fixed: Their quality. The first point belongs to the hull; the last does not, a router has to reach it.
    """
    found = np.full(len(cost), np.nan)
    for row in range(len(cost)):
        start, end = ends[row]
        xs = np.concatenate([[start], cost[row]])
        ys = np.concatenate([[fixed[row, 0]], quality[row]])
        if not (np.isfinite(xs).all() and np.isfinite(ys).all() and end > start):
            continue
        hull: list[tuple[float, float]] = []
        for x, y in sorted(zip(xs.tolist(), ys.tolist(), strict=True)):
            while hull and _is_below(hull, x, y):
                hull.pop()
            if not hull or y > hull[-1][1]:
                hull.append((x, y))
        at = np.array([point[0] for point in hull] + [max(end, hull[-1][0])])
        level = np.array([point[1] for point in hull] + [hull[-1][1]])
        inside = np.unique(np.clip(np.concatenate([at, [start, end]]), start, end))
        found[row] = np.trapezoid(np.interp(inside, at, level), inside) / (end - start)
    return found


def _is_below(hull: list[tuple[float, float]], x: float, y: float) -> bool:
    """Whether the hull's last point lies on or below what leads to a new one further right."""
    last = hull[-1]
    if last[0] == x:
        return y >= last[1]
    if len(hull) < 2:
        return False
    before = hull[-2]
    return (last[1] - before[1]) * (x - before[0]) <= (y - before[1]) * (last[0] - before[0])


def first_crossing(x: FloatArray, y: FloatArray, level: FloatArray) -> FloatArray:
    """Return where each row's curve first reaches a level, linear between its points; infinity where it never does.

    Args:
        x: Rising along each row, shape (n_rows, n).
        y: The curve there.
        level: Shape (n_rows,); NaN is never reached.
    """
    rows = np.arange(len(x))
    reached = y >= level[:, None]
    index = reached.argmax(axis=1)
    before = np.maximum(index - 1, 0)
    low, high = y[rows, before], y[rows, index]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where((index > 0) & (high > low), (level - low) / (high - low), 1.0)
    at = x[rows, before] + part * (x[rows, index] - x[rows, before])
    found: FloatArray = np.where(reached.any(axis=1), at, np.inf)
    found[np.isnan(level) | np.isnan(y).all(axis=1)] = np.nan
    return found


def _recovered(wer: FloatArray, fixed: FloatArray) -> FloatArray:
    """Return the performance gap recovered at every threshold; NaN rows where the last point is no better."""
    gap = fixed[:, 0] - fixed[:, 1]
    gap = np.where(gap > 0, gap, np.nan)
    shares: FloatArray = (fixed[:, :1] - wer) / gap[:, None]
    return shares
