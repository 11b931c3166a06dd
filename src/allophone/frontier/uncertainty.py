"""How sure it is that a point is on the frontier, dominated, or neither: dominance counted over bootstrap replicates.

In every replicate each point has objectives, lower is better, and dominance is decided as for measured values. The
share of replicates is then read as a probability, and three things follow from it and a confidence such as 0.95:

- A point is ``dominated`` when one named point dominates it with at least the confidence. Being dominated now by this
  point and now by that one is not enough: among many equally good points chance alone lets some other point win in
  nearly every replicate, so the whole set would condemn points that nothing beats.
- A point is ``on`` the frontier when with at least the confidence no point of the whole set dominates it.
- Otherwise it is ``tied``: the measurements do not tell. A point without measurements is ``unmeasured``.

Two points are tied with each other when none of three answers reaches the confidence: the first dominates the second,
the second dominates the first, or each is better in something (a trade-off). Equal in everything is a tie. So two
points whose cost differs for certain are tied exactly while it is open whether the dearer one is better at all.

The probability of a pair is not corrected for the number of pairs looked at; a higher confidence makes up for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from allophone.frontier.dominance import BoolArray, FloatArray, frontier_mask

__all__ = ["FrontierUncertainty", "Status", "assess_frontier"]

Status = Literal["on", "dominated", "tied", "unmeasured"]
IntArray = npt.NDArray[np.int64]

_CHUNK = 255  # replicates counted in one byte before they are added up


@dataclass(frozen=True, slots=True, eq=False)
class FrontierUncertainty:
    """What the replicates say about every point.

    Args:
        confidence: Probability from which a statement is made.
        frontier: Which points no other dominates as measured, shape (n_points,).
        p_dominated: Share of replicates in which some other point dominates a point, shape (n_points,); NaN where it
            was never measured.
        p_dominated_by: Entry ``[i, j]``: share of replicates in which point ``i`` dominates point ``j``, shape
            (n_points, n_points); NaN where the two were never measured together.
        p_equal: Entry ``[i, j]``: share in which the two are equal in every objective.
        dominator: The likeliest to dominate a point, shape (n_points,); -1 where nothing ever does.
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
    p_equal: FloatArray
    dominator: IntArray
    status: tuple[Status, ...]
    tied: BoolArray
    tie_groups: tuple[tuple[int, ...], ...]

    @property
    def p_on_frontier(self) -> FloatArray:
        """Share of replicates in which no other point dominates a point, shape (n_points,)."""
        return 1 - self.p_dominated


def assess_frontier(
    replicates: npt.ArrayLike, estimates: npt.ArrayLike, confidence: float = 0.95
) -> FrontierUncertainty:
    """Say of every point whether it is on the frontier, dominated or tied, and how surely.

    Args:
        replicates: Objectives in every replicate, shape (n_replicates, n_points, n_objectives), lower is better,
            resampled together for all points. An objective without uncertainty is the same in every replicate. NaN: not
            measured in that replicate, which then does not count for the point.
        estimates: Objectives as measured, shape (n_points, n_objectives); NaN: not measured.
        confidence: Above 0.5, so that no two answers can reach it together.

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
    beaten, beats, equals = _count(replicates, present)
    together = present.T.astype(np.float64) @ present
    with np.errstate(invalid="ignore"):  # 0 / 0: never measured, or never together
        p_dominated = beaten / present.sum(axis=0)
        p_dominated_by, p_equal = beats / together, equals / together
    best = np.nan_to_num(p_dominated_by).max(axis=0, initial=0.0)
    status = tuple(
        _status(measured[j], bool(best[j] >= confidence), bool(1 - p_dominated[j] >= confidence))
        for j in range(len(estimates))
    )
    trade_off = 1 - p_dominated_by - p_dominated_by.T - p_equal
    settled = np.fmax(np.fmax(p_dominated_by, p_dominated_by.T), trade_off) >= confidence
    tied = ~settled & measured & measured[:, None] & ~np.eye(len(estimates), dtype=np.bool_)
    return FrontierUncertainty(
        confidence=confidence,
        frontier=frontier,
        p_dominated=p_dominated,
        p_dominated_by=p_dominated_by,
        p_equal=p_equal,
        dominator=np.array([p.argmax() if p.any() else -1 for p in np.nan_to_num(p_dominated_by.T)], dtype=np.int64),
        status=status,
        tied=tied,
        tie_groups=_tie_groups(p_dominated, status, tied),
    )


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


def _count(replicates: FloatArray, present: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Count the replicates in which points are dominated at all, dominate each other, and equal each other.

    Objectives are replaced by their ranks within the replicate: small whole numbers compare fast, and where one point
    is no worse than another in every objective, the sum of ranks tells whether it is better in one. An objective that
    never changes is compared once.

    Args:
        replicates: Shape (n_replicates, n_points, n_objectives).
        present: Which points take part in which replicate, shape (n_replicates, n_points).

    Returns:
        Shapes (n_points,), (n_points, n_points) and (n_points, n_points).
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
    beats, no_worse = (np.zeros((n_points, n_points), dtype=np.int64) for _ in range(2))
    pairs, better = np.empty_like(allowed), np.empty_like(allowed)
    for start in range(0, len(replicates), _CHUNK):
        rows = slice(start, start + _CHUNK)
        first, *others = (_ranks(columns[k][rows], n_objectives) for k in loose)
        sums = sum([*others, *fixed_ranks], start=first)
        # An absent point is no worse than any and no better than any: its rank is past the last and before the first.
        worst, best = np.where(present[rows], first, n_points), np.where(present[rows], first, -1)
        beats_bytes, no_worse_bytes = (np.zeros((n_points, n_points), dtype=np.uint8) for _ in range(2))
        for r in range(len(first)):
            np.less_equal(worst[r][:, None], best[r], out=pairs)
            pairs &= allowed
            for rank in others:
                pairs &= np.less_equal(rank[r][:, None], rank[r], out=better)
            no_worse_bytes += pairs
            pairs &= np.less(sums[r][:, None], sums[r], out=better)
            beats_bytes += pairs
            beaten += pairs.any(axis=0)
        beats += beats_bytes
        no_worse += no_worse_bytes
    return beaten, beats, no_worse - beats


def _ranks(values: FloatArray, n_objectives: int) -> npt.NDArray[np.integer]:
    """Rank of every point within its replicate, equal values ranked alike, in a type that holds a sum of ranks.

    Args:
        values: One objective, shape (n_replicates, n_points).
        n_objectives: How many ranks will be added.
    """
    order = np.argsort(values, axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    places = np.zeros(values.shape, dtype=np.min_scalar_type(-n_objectives * values.shape[1] - 1))
    np.cumsum(ranked[:, 1:] != ranked[:, :-1], axis=1, out=places[:, 1:])
    ranks = np.empty_like(places)
    np.put_along_axis(ranks, order, places, axis=1)
    return ranks
