"""Verdict on one axis at one point: whether spending more on it pays, and whether less would do.

An axis

- ``pays`` when another measured setting surely makes fewer errors;
- is ``wasted`` when a cheaper setting is surely as good (worse by less than the margin), or when every dearer one that
  was measured surely buys nothing (better by less than the margin, or worse);
- is ``needed`` when the base point has the dearest measured setting and every cheaper one surely makes more errors;
- is ``undecided`` when the measurements do not tell, and ``not measured`` when the base point has no neighbour on it.

"Surely" is with at least the confidence. What any one of several settings can show (that it is better, that it saves)
is asked at ``1 - (1 - confidence) / settings``, since the one that looks best is the luckiest (Bonferroni); what all of
them must show needs no correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from allophone.diagnosis.axes import Axis, Resource, arm_pairs
from allophone.diagnosis.elasticity import AxisChange, Elasticity, PairedChanges
from allophone.records.point import Setting

__all__ = ["AxisDiagnosis", "AxisStatus", "judge_axis"]

AxisStatus = Literal["pays", "wasted", "needed", "undecided", "not measured"]


@dataclass(frozen=True, slots=True)
class AxisDiagnosis:
    """One axis at the base point.

    Args:
        axis: Name of the axis. purchase: What spending on it buys. setting: The base point's setting, in words.
        settings: All settings measured with the other axes as at the base point, cheapest first. status: See the
        module. exhausted: Whether no dearer setting was measured. at_limit: Whether no setting beyond the base point's
        exists at all. here: Elasticity over the pairs that the base point is part of; None where none has costs that
        differ. everywhere: Elasticity over all pairs of the run that differ in this axis only. moves: Every other
        setting, cheapest first. free_improvement: The best of the moves that surely make fewer errors and cost no more,
        or None. costlier_improvement: The dearer move that surely makes fewer errors and gains most per doubling of
        cost, or None. unproven_improvement: The dearer move with the largest improvement per doubling as measured, sure
        or not; None where no
            dearer one improves.
        buys_nothing: Whether dearer settings were measured and all of them surely buy nothing. safe_saving: The
        cheapest move that is surely as good, or None. unproven_saving: The cheaper move likeliest to be as good, sure
        or not; None where no cheaper one was measured. cheaper_hurts: Whether cheaper settings were measured and all of
        them surely make more errors. still_improving: Where the axis is exhausted: the dearest cheaper setting, if it
        surely makes more errors.
    """

    axis: str
    purchase: Resource
    setting: str
    settings: tuple[str, ...]
    status: AxisStatus
    exhausted: bool
    at_limit: bool
    here: Elasticity | None
    everywhere: Elasticity | None
    moves: tuple[AxisChange, ...]
    free_improvement: AxisChange | None
    costlier_improvement: AxisChange | None
    unproven_improvement: AxisChange | None
    buys_nothing: bool
    safe_saving: AxisChange | None
    unproven_saving: AxisChange | None
    cheaper_hurts: bool
    still_improving: AxisChange | None


def judge_axis(
    axis: Axis, points: Sequence[Setting], base: int, changes: PairedChanges, *, enough: bool
) -> AxisDiagnosis:
    """Judge one axis at one point.

    Args:
        axis: One of :data:`allophone.diagnosis.axes.AXES` or ``EMOTION_AXES``.
        points: All measured points, in the order that ``changes`` knows them in.
        base: Index of the base point.
        changes: Error rates and costs in every replicate.
        enough: Whether there are utterances enough for a verdict; otherwise measured axes are undecided.
    """
    sure = changes.confidence
    axis_slice = [
        index
        for index, point in enumerate(points)
        if axis.axis_slice(point) == axis.axis_slice(points[base]) and index != base
    ]
    found = [changes.move(axis, base, index, points) for index in axis_slice]
    moves = tuple(sorted(found, key=lambda move: move.cost_ratio if move.cost_ratio == move.cost_ratio else inf))
    surest = 1 - (1 - sure) / max(1, len(moves))
    dearer = [move for move in moves if move.order == "dearer"]
    cheaper = [move for move in moves if move.order == "cheaper"]
    free = [move for move in moves if move.order in {"equal", "cheaper"} and enough and move.p_better >= surest]
    paid = [move for move in dearer if enough and move.p_better >= surest]
    savings = [move for move in cheaper if enough and move.p_no_loss >= surest]
    harmful = [move for move in cheaper if enough and move.p_worse >= sure]
    buys_nothing = enough and bool(dearer) and all(move.p_no_gain >= sure for move in dearer)
    exhausted = bool(moves) and not dearer
    status: AxisStatus = "undecided"
    if not moves:
        status = "not measured"
    elif free or paid:
        status = "pays"
    elif savings or buys_nothing:
        status = "wasted"
    elif exhausted and harmful and len(harmful) == len(moves):
        status = "needed"
    lower = [move.setting for move in moves if move.cost_ratio < 1]
    higher = [move.setting for move in moves if not move.cost_ratio < 1]
    own = axis.show(points[base])
    return AxisDiagnosis(
        axis=axis.name,
        purchase=axis.purchase,
        setting=own,
        settings=(*lower, own, *higher),
        status=status,
        exhausted=exhausted,
        at_limit=axis.at_limit(points[base]),
        here=changes.elasticity([(base, index) for index in axis_slice], base),
        everywhere=changes.elasticity(arm_pairs(axis, points), base),
        moves=moves,
        free_improvement=min(free, key=_change, default=None),
        costlier_improvement=min(paid, key=_slope, default=None),
        unproven_improvement=min((move for move in dearer if _slope(move) < 0), key=_slope, default=None),
        buys_nothing=buys_nothing,
        safe_saving=min(savings, key=lambda move: move.cost_ratio, default=None),
        unproven_saving=max(cheaper, key=lambda move: move.p_no_loss, default=None),
        cheaper_hurts=bool(harmful) and len(harmful) == len(cheaper),
        still_improving=cheaper[-1] if exhausted and cheaper and cheaper[-1] in harmful else None,
    )


def _change(move: AxisChange) -> float:
    return move.change.estimate


def _slope(move: AxisChange) -> float:
    return move.elasticity.per_doubling.estimate if move.elasticity else inf
