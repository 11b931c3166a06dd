"""The operator's five questions with their answers, and the phrases that a diagnosis is told in."""

from __future__ import annotations

from math import isfinite, isnan

from allophone.diagnosis.advice import Answer, Topic
from allophone.diagnosis.elasticity import Move
from allophone.diagnosis.recognition import Diagnosis
from allophone.frontier.pareto import FrontierPoint

__all__ = [
    "answer_lines",
    "answer_pairs",
    "cost_words",
    "dominated_words",
    "move_words",
    "percent",
    "points",
    "probability",
    "signed",
]

_QUESTIONS: dict[Topic, str] = {
    "capacity": "Capacity: would a bigger model pay?",
    "context": "Context: does its length cost accuracy or compute?",
    "resolution": "Resolution: can tokens be coarser?",
    "adaptation": "Adaptation: would training the model on this audio pay?",
    "dominated": "Dominated: does another point beat this one?",
}


def answer_lines(diagnosis: Diagnosis) -> list[str]:
    """Return one line per question."""
    return [f"{question} {answer}" for question, answer in answer_pairs(diagnosis)]


def answer_pairs(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Return every question with its answer."""
    return [(_QUESTIONS[answer.topic], _answer(answer, diagnosis)) for answer in diagnosis.answers]


def move_words(move: Move) -> str:
    """Say what a move changes: setting, error rate with its interval, cost."""
    change = move.change
    return (
        f"{move.setting}: {points(change.estimate)} [{signed(change.low)}, {signed(change.high)}] at {cost_words(move)}"
    )


def cost_words(move: Move) -> str:
    """Say what a move costs, relative to the base point."""
    if move.order == "unknown":
        return "unknown cost"
    if move.order == "equal":
        return "equal cost"
    if move.cost_ratio < 0.005:
        return "less than a hundredth of the cost"
    return f"{move.cost_ratio:,.{0 if move.cost_ratio >= 100 else 2}f} times the cost"


def points(change: float) -> str:
    """Return a change of the error rate in points, with its sign: less is better."""
    return "unknown" if isnan(change) else f"{signed(change)} points"


def signed(change: float) -> str:
    """Return a change of the error rate times 100, with its sign."""
    if isnan(change):
        return "unknown"
    return f"{100 * change:+.1f}" if isfinite(change) else ("-inf" if change < 0 else "+inf")


def percent(share: float) -> str:
    """Return a fraction in percent."""
    return f"{100 * share:.1f} %" if isfinite(share) else "undefined"


def probability(p: float) -> str:
    """Return a probability; never 0 or 1, a bootstrap is not certain of anything."""
    if isnan(p):
        return "unknown"
    return "> 0.99" if p > 0.99 else "< 0.01" if p < 0.01 else f"{p:.2f}"


def _answer(answer: Answer, diagnosis: Diagnosis) -> str:
    if answer.topic == "dominated":
        return dominated_words(answer, diagnosis.standing)
    if answer.topic == "adaptation":
        return "Not measured: a recognition run holds no trained variants."
    move = answer.move
    if move is None:
        return "Not measured."
    if answer.topic == "capacity":
        return _capacity(answer, move, diagnosis)
    return _setting(answer, move, diagnosis)


def _setting(answer: Answer, move: Move, diagnosis: Diagnosis) -> str:
    told = move_words(move)
    if answer.verdict == "undecided":
        return (
            f"Undecided. {told}; p {probability(move.p_no_loss)} that it is as good, "
            f"{probability(move.p_better)} that it is better."
        )
    if answer.verdict == "yes" and answer.of == "accuracy":
        return f"Yes, accuracy. {told} (p {probability(move.p_better)})."
    if answer.verdict == "yes":
        subject = "Yes, compute. " if answer.of == "compute" else "Yes. "
        margin = f"{100 * diagnosis.margin:g}"
        return f"{subject}{told}; worse by less than {margin} points with p {probability(move.p_no_loss)}."
    if move.order == "cheaper":
        return f"No. Every cheaper setting makes more errors; the mildest is {told} (p {probability(move.p_worse)})."
    return f"No. {told}."


def _capacity(answer: Answer, move: Move, diagnosis: Diagnosis) -> str:
    told = move_words(move)
    if answer.verdict == "yes":
        return f"Yes. {told} (p {probability(move.p_better)})."
    if answer.verdict == "no":
        return f"No. {told}; gains less than {100 * diagnosis.margin:g} points with p {probability(move.p_no_gain)}."
    if answer.verdict == "undecided":
        return f"Undecided. {told}; p {probability(move.p_better)} that it is better."
    return (
        f"Not measured: {diagnosis.base.point.model} is the dearest model of this run. Without it, {told} "
        f"(p {probability(move.p_worse)} that the smaller one is worse), so a bigger one is worth measuring."
    )


def dominated_words(answer: Answer, standing: FrontierPoint) -> str:
    """Say whether another point beats this one, and how sure that is."""
    if answer.verdict == "yes":
        return f"Yes, by {standing.dominated_by} (p {probability(standing.p_dominated)})."
    if answer.verdict == "no":
        return f"No (p {probability(standing.p_on_frontier)} that none does)."
    if answer.verdict == "not measured":
        return "Not measured."
    rival = (
        f"; likeliest {standing.dominated_by}, p {probability(standing.p_dominated)}" if standing.dominated_by else ""
    )
    return f"Undecided: p {probability(standing.p_on_frontier)} that no point does{rival}."
