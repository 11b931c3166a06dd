"""Uncertainty of frontier membership: on it, dominated, or neither, however many points are compared.

In every bootstrap replicate each point has objectives, lower is better. Two statements follow from them:

- A point is ``dominated`` when one named point is no worse in every objective and better in one, each claim a one-sided
  comparison of the two. The comparisons of all pairs are judged together
  (:func:`allophone.guarantee.multiplicity.assured_differences`): with the confidence, say 0.95, no rival is wrongly
  said to dominate a given point, and with twice that error, 0.90, no point at all is wrongly condemned. Being
  dominated now by this point and now by that one is not enough: among many equally good points chance alone lets some
  other win in nearly every replicate.
- A point is ``on`` the frontier when with at least the confidence no point of the whole set dominates it, which is
  counted over replicates. A cheaper or equally good rival makes that harder, so more points need no correction.
- Otherwise it is ``tied``: the measurements do not tell. A point without measurements is ``unmeasured``.

Costs that differ by no more than a noise floor count as equal: neither is the better or the worse one.

Two points are tied with each other when none of three answers reaches the confidence: the first dominates the second,
the second dominates the first, or each is better in something (a trade-off). Equal in everything is a tie.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from allophone.arrays import BoolArray, FloatArray, IntArray
from allophone.frontier.dominance import frontier_mask
from allophone.guarantee.multiplicity import AssuredDifferences, assured_differences
from allophone.measure.blocks import Resample

__all__ = ["LEAST_SPEAKERS", "LEAST_UTTERANCES", "FrontierUncertainty", "Status", "assess_frontier", "too_few"]

Status = Literal["on", "dominated", "tied", "unmeasured", "too few"]
LEAST_SPEAKERS = 5  # of fewer, all agree by accident too often, and replicates drawn from them then never disagree
LEAST_UTTERANCES = 20  # a bootstrap of fewer is not to be trusted

_CHUNK = 255  # replicates ranked at once


@dataclass(frozen=True, slots=True, eq=False)
class FrontierUncertainty:
    """What the replicates say about every point.

    Args:
        confidence: Probability from which a statement is made.
        frontier: Which points no other dominates as measured, shape (n_points,).
        p_dominated: Share of replicates in which some other point dominates a point, shape (n_points,); NaN where it
            was never measured.
        p_dominated_by: Entry ``[i, j]``: probability that point ``i`` dominates point ``j``, all other comparisons
            considered, shape (n_points, n_points); 0 where it does not as measured.
        dominator: The likeliest to dominate a point, shape (n_points,); -1 where nothing does as measured.
        status: One per point.
        tied: Entry ``[i, j]``: points ``i`` and ``j`` cannot be told apart, shape (n_points, n_points).
        tie_groups: Points that are neither dominated nor unmeasured, two or more that cannot be told apart. The first
            leads: it is the likeliest on the frontier, and the others are tied with it, though not always with each
            other (ties are not transitive). A point is in one group at most, in the first whose leader it is tied with.
    """

    confidence: float
    frontier: BoolArray
    p_dominated: FloatArray
    p_dominated_by: FloatArray
    dominator: IntArray
    status: tuple[Status, ...]
    tied: BoolArray
    tie_groups: tuple[tuple[int, ...], ...]

    @property
    def p_on_frontier(self) -> FloatArray:
        """Share of replicates in which no other point dominates a point, shape (n_points,)."""
        return 1 - self.p_dominated


def too_few(resample: Resample) -> bool:
    """Whether there are too few speakers or utterances for any verdict or probability."""
    return resample.n_speakers < LEAST_SPEAKERS or len(resample.blocks) < LEAST_UTTERANCES


def assess_frontier(
    replicates: npt.ArrayLike,
    estimates: npt.ArrayLike,
    confidence: float = 0.95,
    floors: npt.ArrayLike = 0.0,
    resample: Resample | None = None,
) -> FrontierUncertainty:
    """Judge every point by how often replicates agree.

    Args:
        replicates: Objectives in every replicate, shape (n_replicates, n_points, n_objectives), lower is better,
            resampled together for all points and widened for few speakers. An objective without uncertainty is the
            same in every replicate. NaN: not measured in that replicate.
        estimates: Objectives as measured, shape (n_points, n_objectives); NaN: not measured.
        confidence: Above 0.5, so that no two answers can reach it together.
        floors: Relative difference of each objective below which two values count as equal, shape (n_objectives,).
        resample: Of which blocks the replicates are; None: of so many that standard errors are known.

    Raises:
        ValueError: Shapes do not fit, there is no replicate or no objective, or the confidence is out of range.
    """
    replicates = np.asarray(replicates, dtype=np.float64)
    estimates = np.asarray(estimates, dtype=np.float64)
    if replicates.ndim != 3 or replicates.shape[1:] != estimates.shape or not len(replicates):
        raise ValueError(
            f"replicates must have shape (n_replicates, n_points, n_objectives) and estimates the last two of them: "
            f"got {replicates.shape} and {estimates.shape}"
        )
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence must lie between 0.5 and 1, got {confidence}")
    frontier = frontier_mask(estimates)
    measured = ~np.isnan(estimates).any(axis=1)
    present = measured & ~np.isnan(replicates).any(axis=2)
    with np.errstate(invalid="ignore"):  # 0 / 0: never measured
        p_dominated = _count(replicates, present) / present.sum(axis=0)
    found = assured_differences(replicates, estimates, floors, resample)
    better = _assured(found, found.better)
    p_dominated_by = np.minimum(_assured(found, found.no_worse), better)
    best = p_dominated_by.max(axis=0, initial=0.0)
    status = tuple(
        _status(measured[j], bool(best[j] >= confidence), bool(1 - p_dominated[j] >= confidence))
        for j in range(len(estimates))
    )
    trade_off = np.minimum(better, better.T)
    settled = np.maximum(np.maximum(p_dominated_by, p_dominated_by.T), trade_off) >= confidence
    tied = ~settled & measured & measured[:, None] & ~np.eye(len(estimates), dtype=np.bool_)
    return FrontierUncertainty(
        confidence=confidence,
        frontier=frontier,
        p_dominated=p_dominated,
        p_dominated_by=p_dominated_by,
        dominator=np.array([p.argmax() if p.any() else -1 for p in p_dominated_by.T], dtype=np.int64),
        status=status,
        tied=tied,
        tie_groups=_tie_groups(p_dominated, status, tied),
    )


def _assured(found: AssuredDifferences, statistics: FloatArray) -> FloatArray:
    """Probability of claims, the lesser of two: about this point, and about all points at twice the allowed error."""
    return np.minimum(found.probability(statistics), (1 + found.probability_of_all(statistics)) / 2) * (statistics > 0)


def _status(measured: bool, dominated: bool, on: bool) -> Status:
    if not measured:
        return "unmeasured"
    if dominated:
        return "dominated"
    return "on" if on else "tied"


def _tie_groups(p_dominated: FloatArray, status: tuple[Status, ...], tied: BoolArray) -> tuple[tuple[int, ...], ...]:
    """Greedy: the point likeliest on the frontier takes all that are tied with it, then the likeliest of the rest."""
    waiting = [int(j) for j in np.argsort(p_dominated, kind="stable") if status[j] in {"on", "tied"}]
    groups = []
    while waiting:
        leader = waiting[0]
        group = [leader, *(j for j in waiting if tied[leader, j])]
        waiting = [j for j in waiting if j not in group]
        if len(group) > 1:
            groups.append(tuple(group))
    return tuple(groups)


def _count(replicates: FloatArray, present: BoolArray) -> IntArray:
    """Count the replicates in which each point is dominated by any other, shape (n_points,).

    Objectives are replaced by their ranks within the replicate: small whole numbers compare fast, and where one point
    is no worse than another in every objective, the sum of ranks tells whether it is better in one. An objective that
    never changes is compared once.

    Args:
        replicates: Shape (n_replicates, n_points, n_objectives).
        present: Which points take part in which replicate, shape (n_replicates, n_points).
    """
    n_points, n_objectives = replicates.shape[1:]
    columns = np.moveaxis(replicates, 2, 0)
    fixed = [k for k in range(1, n_objectives) if ((columns[k] == columns[k][0]) | ~present).all()]
    loose = [k for k in range(n_objectives) if k not in fixed]
    fixed_ranks = [_ranks(columns[k][:1], n_objectives)[0] for k in fixed]
    allowed = np.ones((n_points, n_points), dtype=np.bool_)
    for rank in fixed_ranks:
        allowed &= rank[:, None] <= rank
    beaten = np.zeros(n_points, dtype=np.int64)
    pairs, better = np.empty_like(allowed), np.empty_like(allowed)
    for start in range(0, len(replicates), _CHUNK):
        rows = slice(start, start + _CHUNK)
        first, *others = (_ranks(columns[k][rows], n_objectives) for k in loose)
        sums = sum([*others, *fixed_ranks], start=first)
        # An absent point is no worse than any and no better than any: its rank is past the last and before the first.
        worst, best = np.where(present[rows], first, n_points), np.where(present[rows], first, -1)
        for r in range(len(first)):
            np.less_equal(worst[r][:, None], best[r], out=pairs)
            pairs &= allowed
            for rank in others:
                pairs &= np.less_equal(rank[r][:, None], rank[r], out=better)
            pairs &= np.less(sums[r][:, None], sums[r], out=better)
            beaten += pairs.any(axis=0)
    return beaten


def _ranks(values: FloatArray, n_objectives: int) -> npt.NDArray[np.integer]:
    """Rank of every point within its replicate, equal values ranked alike, in a type that holds a sum of ranks.

    Args:
        values: One objective, shape (n_replicates, n_points).
        n_objectives: How many ranks will be added.
    """
    order = np.argsort(values, axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    indices = np.zeros(values.shape, dtype=np.min_scalar_type(-n_objectives * values.shape[1] - 1))
    np.cumsum(ranked[:, 1:] != ranked[:, :-1], axis=1, out=indices[:, 1:])
    ranks = np.empty_like(indices)
    np.put_along_axis(ranks, order, indices, axis=1)
    return ranks
