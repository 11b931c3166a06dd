"""Advice: the binding knob, the next step and the operator's answers, from the verdicts on single axes.

The *binding* axis is the one whose dearer setting surely makes fewer errors and, among such axes, makes fewest per
doubling of cost. Two probabilities go with it: that the purchase improves at all, and that no other measured purchase
improves more per doubling. A sure improvement that costs no more is no purchase; it comes first as the next step.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np

from allophone.diagnosis.axis_verdict import AxisDiagnosis
from allophone.diagnosis.elasticity import AxisChange, PairedChanges
from allophone.frontier.uncertainty import Status

__all__ = [
    "Answer",
    "Binding",
    "NextStep",
    "Topic",
    "Verdict",
    "answer_emotion_questions",
    "answer_questions",
    "choose_step",
    "find_binding",
]

Step = Literal["free", "buy", "save", "extend", "decide", "none"]
Topic = Literal["capacity", "context", "resolution", "adaptation", "dominated"]
Verdict = Literal["yes", "no", "undecided", "not measured"]


_DOMINATED: dict[Status, Verdict] = {
    "on": "no",
    "dominated": "yes",
    "tied": "undecided",
    "unmeasured": "not measured",
    "too few": "undecided",
}


@dataclass(frozen=True, slots=True)
class Binding:
    """The axis that binds.

    Args:
        axis: Its name.
        move: The purchase.
        p_largest: Probability that no purchase on another axis improves more per doubling of cost; None where no other
            one improves even as measured.
        rival: The purchase on another axis that improved more per doubling as measured, though not surely; or None.
    """

    axis: str
    move: AxisChange
    p_largest: float | None
    rival: AxisChange | None


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next.

    Args:
        kind: ``free``: take a surely better setting that costs no more; ``buy``: what binds; ``save``: a cheaper
            setting that is surely as good; ``extend``: measure beyond the end of an axis that still improved there;
            ``decide``: measure more utterances, a purchase looks good but is not sure; ``none``: nothing is left.
        axis: Name of the axis, or None.
        move: The move, or for ``extend`` the one down to the next cheaper setting; None for ``none``.
    """

    kind: Step
    axis: str | None = None
    move: AxisChange | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one of the operator's questions.

    Args:
        topic: Capacity: would a bigger model pay? Context: does padding or cutting it cost anything? Resolution: can
            tokens be coarser? Adaptation: would training pay? Dominated: does another point beat this one?
        verdict: The answer.
        move: The measured move that shows it best, or None.
        of: For context, what is being lost; None elsewhere and where nothing is.
    """

    topic: Topic
    verdict: Verdict
    move: AxisChange | None = None
    of: Literal["accuracy", "compute"] | None = None


def find_binding(
    axes: Sequence[AxisDiagnosis], names: Sequence[str], base: int, changes: PairedChanges
) -> Binding | None:
    """Find the axis whose sure purchase improves most per doubling of cost.

    Args:
        axes: The verdicts.
        names: Names of all points, in the order that ``changes`` knows them in.
        base: Index of the base point.
        changes: Error rates and costs in every replicate.
    """
    sure = [(axis.axis, axis.costlier_improvement) for axis in axes if axis.costlier_improvement is not None]
    if not sure:
        return None
    name, best = min(sure, key=lambda item: _slope(item[1]))
    rivals = [
        move for axis in axes if axis.axis != name and (move := axis.costlier_improvement or axis.unproven_improvement)
    ]
    if not rivals:
        return Binding(name, best, None, None)
    own = changes.slopes([(base, names.index(best.target))])
    rest = np.min([changes.slopes([(base, names.index(move.target))]) for move in rivals], axis=0)
    strongest = min(rivals, key=_slope)
    ahead = strongest if _slope(strongest) < _slope(best) else None
    return Binding(name, best, float(np.mean(own < rest)), ahead)


def choose_step(axes: Sequence[AxisDiagnosis], binding: Binding | None) -> NextStep:
    """Choose what to do next: the first that applies, in the order of :class:`NextStep`."""
    free = [move for axis in axes if (move := axis.free_improvement)]
    if free:
        return _step("free", min(free, key=lambda move: move.change.estimate))
    if binding:
        return _step("buy", binding.move)
    savings = [move for axis in axes if (move := axis.safe_saving)]
    if savings:
        return _step("save", min(savings, key=lambda move: move.cost_ratio))
    ends = [move for axis in axes if (move := axis.still_improving) and not axis.at_limit]
    if ends:
        return _step("extend", min(ends, key=_slope))
    hopes = [move for axis in axes if (move := axis.unproven_improvement)]
    return _step("decide", min(hopes, key=_slope)) if hopes else NextStep("none")


def answer_questions(axes: Sequence[AxisDiagnosis], standing: Status) -> tuple[Answer, ...]:
    """Answer the operator's five questions, in their order.

    Args:
        axes: The verdicts, of all axes.
        standing: The base point's place relative to the frontier.
    """
    return (
        _capacity([axis for axis in axes if axis.purchase == "capacity"]),
        _context([axis for axis in axes if axis.purchase == "context" and axis.moves]),
        _resolution([axis for axis in axes if axis.purchase == "resolution"]),
        Answer("adaptation", "not measured"),
        Answer("dominated", _DOMINATED[standing]),
    )


def answer_emotion_questions(
    axes: Sequence[AxisDiagnosis], standing: Status, trains_more: Collection[str], confidence: float
) -> tuple[Answer, ...]:
    """Answer those questions that emotion recognition shares: capacity, adaptation, dominated.

    Args:
        axes: The verdicts, of all axes.
        standing: The base point's place relative to the frontier.
        trains_more: Names of the points that train more parameters than the base point.
        confidence: Probability from which something is sure.
    """
    adaptation = [axis for axis in axes if axis.purchase == "adaptation"]
    more = [move for axis in adaptation for move in axis.moves if move.target in trains_more]
    return (
        _capacity([axis for axis in axes if axis.purchase == "capacity"]),
        _adaptation(more, confidence),
        Answer("dominated", _DOMINATED[standing]),
    )


def _adaptation(moves: Sequence[AxisChange], confidence: float) -> Answer:
    if not moves:
        return Answer("adaptation", "not measured")
    best = min(moves, key=lambda move: move.change.estimate)
    surest = 1 - (1 - confidence) / len(moves)  # the one that looks best is the luckiest
    sure = [move for move in moves if move.p_better >= surest]
    if sure:
        return Answer("adaptation", "yes", min(sure, key=lambda move: move.change.estimate))
    return Answer("adaptation", "no" if all(move.p_no_gain >= confidence for move in moves) else "undecided", best)


def _capacity(axes: Sequence[AxisDiagnosis]) -> Answer:
    for axis in axes:
        if axis.costlier_improvement:
            return Answer("capacity", "yes", axis.costlier_improvement)
        dearer = [move for move in axis.moves if move.order == "dearer"]
        if dearer:
            verdict: Verdict = "no" if axis.buys_nothing else "undecided"
            return Answer("capacity", verdict, min(dearer, key=_slope))
        if axis.still_improving:
            return Answer("capacity", "not measured", axis.still_improving)
    return Answer("capacity", "not measured")


def _context(axes: Sequence[AxisDiagnosis]) -> Answer:
    for axis in axes:
        if axis.costlier_improvement:
            return Answer("context", "yes", axis.costlier_improvement, "accuracy")
    for axis in axes:
        if cheaper := axis.free_improvement or axis.safe_saving:
            return Answer("context", "yes", cheaper, "compute")
    if not axes:
        return Answer("context", "not measured")
    # The end of what was measured is no proof that more would not help, unless there is nothing beyond it.
    enough = all(axis.buys_nothing or (axis.exhausted and axis.at_limit) for axis in axes)
    tight = all(axis.cheaper_hurts or axis.unproven_saving is None for axis in axes)
    evidence = next((move for axis in axes if (move := axis.unproven_saving or axis.unproven_improvement)), None)
    return Answer("context", "no" if enough and tight else "undecided", evidence)


def _resolution(axes: Sequence[AxisDiagnosis]) -> Answer:
    measured = [axis for axis in axes if axis.unproven_saving]
    for axis in measured:
        if coarser := axis.safe_saving:
            return Answer("resolution", "yes", coarser)
    if not measured:
        return Answer("resolution", "not measured")
    likeliest = max((move for axis in measured if (move := axis.unproven_saving)), key=lambda move: move.p_no_loss)
    return Answer("resolution", "no" if all(axis.cheaper_hurts for axis in measured) else "undecided", likeliest)


def _step(kind: Step, move: AxisChange) -> NextStep:
    return NextStep(kind, move.axis, move)


def _slope(move: AxisChange) -> float:
    return move.elasticity.per_doubling.estimate if move.elasticity else inf
