"""The operator's questions to a point of a run, with their answers in words."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from allophone.diagnosis.advice import Answer, Topic
from allophone.diagnosis.elasticity import AxisChange
from allophone.diagnosis.emotion import DepthPair, DurationAnswer, EmotionDiagnosis
from allophone.diagnosis.point import PointDiagnosis
from allophone.diagnosis.recognition import RecognitionDiagnosis
from allophone.frontier.objectives import Objective
from allophone.frontier.pareto import FrontierPoint
from allophone.measure.intervals import Interval
from allophone.records.names import title_of
from allophone.records.point import Task
from allophone.report.diagnosis import breakdown_lines, move_words, percent, probability, verdict_lines

__all__ = ["answer_pairs", "diagnosis_lines"]

_QUESTIONS: dict[Topic, str] = {
    "capacity": "Capacity: would a bigger model pay?",
    "context": "Context: does its length cost accuracy or compute?",
    "resolution": "Resolution: can tokens be coarser?",
    "adaptation": "Adaptation: would training the model on this audio pay?",
    "dominated": "Dominated: does another point beat this one?",
}


def diagnosis_lines(diagnosis: PointDiagnosis) -> list[str]:
    """Return what follows the table: what binds, what is wasted, the next step, the answers, and known errors."""
    answers = [f"{question} {answer}" for question, answer in answer_pairs(diagnosis)]
    errors = breakdown_lines(diagnosis)
    return [*verdict_lines(diagnosis), "", *answers, *(["", *errors] if errors else [])]


def answer_pairs(diagnosis: PointDiagnosis) -> list[tuple[str, str]]:
    """Return every question with its answer."""
    return _PAIRS[diagnosis.run.task](diagnosis)


def _recognition_pairs(diagnosis: RecognitionDiagnosis) -> list[tuple[str, str]]:
    return [(_QUESTIONS[answer.topic], _answer(answer, diagnosis)) for answer in diagnosis.answers]


def _answer(answer: Answer, diagnosis: RecognitionDiagnosis) -> str:
    if answer.topic == "dominated":
        return _dominated(answer, diagnosis.standing)
    if answer.topic == "adaptation":
        return "Not measured: a recognition run holds no trained variants."
    move = answer.move
    if move is None:
        return "Not measured."
    if answer.topic == "capacity":
        return _capacity(answer, move, diagnosis)
    return _setting(answer, move, diagnosis)


def _setting(answer: Answer, move: AxisChange, diagnosis: RecognitionDiagnosis) -> str:
    told = move_words(move, diagnosis.quality)
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


def _capacity(answer: Answer, move: AxisChange, diagnosis: RecognitionDiagnosis) -> str:
    told = move_words(move, diagnosis.quality)
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


def _dominated(answer: Answer, standing: FrontierPoint) -> str:
    if answer.verdict == "yes":
        return f"Yes, by {title_of(standing.dominated_by or '')} (p {probability(standing.p_dominated)})."
    if answer.verdict == "no":
        return f"No (p {probability(standing.p_on_frontier)} that none does)."
    if answer.verdict == "not measured":
        return "Not measured."
    rival = ""
    if standing.dominated_by:
        rival = f"; likeliest {title_of(standing.dominated_by)}, p {probability(standing.p_dominated)}"
    return f"Undecided: p {probability(standing.p_on_frontier)} that no point does{rival}."


def _emotion_pairs(shown: EmotionDiagnosis) -> list[tuple[str, str]]:
    capacity, adaptation, dominated = shown.answers
    return [
        ("Capacity: would a bigger encoder pay?", _encoder_capacity(capacity, shown)),
        ("Duration: is there a best one?", _duration(shown.duration, shown)),
        ("Adaptation: would training more of the encoder pay?", _adaptation(adaptation, shown)),
        ("Depth or rank: which is better at equal trained parameters?", _depth(shown.depth, shown)),
        ("Dominated: does another point beat this one?", _dominated(dominated, shown.standing)),
    ]


def _encoder_capacity(answer: Answer, shown: EmotionDiagnosis) -> str:
    move = answer.move
    if move is None:
        return "Not measured."
    if answer.verdict != "not measured":
        return _moved(answer, move, shown)
    return (
        f"Not measured: this is the dearest encoder of the run. With {move_words(move, shown.quality)} "
        f"(p {probability(move.p_worse)} that the smaller one is worse), so a bigger one is worth measuring."
    )


def _adaptation(answer: Answer, shown: EmotionDiagnosis) -> str:
    if answer.move is None:
        return "Not measured: no other setting of this encoder and duration trains more parameters."
    return _moved(answer, answer.move, shown)


def _moved(answer: Answer, move: AxisChange, shown: EmotionDiagnosis) -> str:
    told = f"{move.axis} {move_words(move, shown.quality)}"
    if answer.verdict == "yes":
        return f"Yes. {told} (p {probability(move.p_better)})."
    if answer.verdict == "no":
        return f"No. {told}; gains less than {100 * shown.margin:g} points with p {probability(move.p_no_gain)}."
    return f"Undecided. {told}; p {probability(move.p_better)} that it is better."


def _duration(found: DurationAnswer | None, shown: EmotionDiagnosis) -> str:
    if found is None:
        return "Not measured: it takes three durations of one encoder and adaptation."
    over = f"mean of {found.arms} arms" if found.arms > 1 else "one arm"
    curve = ", ".join(
        f"{duration:g} s {_interval(uar)}" for duration, uar in zip(found.durations_s, found.uars, strict=True)
    )
    longer = found.longer[-2]
    rest = f" UAR ({over}): {curve}. {percent(longer)} of the recordings are longer than {found.durations_s[-2]:g} s."
    if found.verdict == "longest":
        return f"The longest: {found.at_s:g} s is better than every shorter one (p {probability(found.p)}).{rest}"
    if found.verdict == "optimum" and found.over_longest:
        gain = _gain(found.over_longest, shown.quality)
        return f"Yes, {found.at_s:g} s: {gain} over the longest (p {probability(found.p)}).{rest}"
    if found.verdict == "plateau":
        return (
            f"No optimum but a plateau from {found.at_s:g} s: no longer one gains {100 * shown.margin:g} points "
            f"(p {probability(found.p)}).{rest}"
        )
    return f"Undecided: p {probability(found.p)} that the longest is not the best.{rest}"


def _depth(pairs: tuple[DepthPair, ...], shown: EmotionDiagnosis) -> str:
    if not pairs:
        return "Not measured: it takes a setting with adapters alone and one with unfrozen layers alone."
    told = "; ".join(
        f"{title_of(pair.depth)} over {title_of(pair.rank)} ({pair.size_ratio:.2g} times the parameters): "
        f"{_gain(pair.gain, shown.quality)} (p {probability(pair.p_depth)})"
        for pair in pairs
    )
    if not pairs[0].equal_size:
        return f"Not measured at equal size (within a factor of two). Nearest: {told}."
    sure = shown.confidence
    if all(pair.p_depth >= sure for pair in pairs):
        return f"Depth. {told}."
    if all(pair.p_depth <= 1 - sure for pair in pairs):
        return f"Rank. {told}."
    return f"Undecided. {told}."


def _gain(gain: Interval, quality: Objective) -> str:
    """Say how much is gained: less of the quality objective, in which lower is better."""
    return f"{quality.show_change(-gain.estimate, 1)} points {quality.show_changes(-gain.high, -gain.low, 1)}"


def _interval(interval: Interval) -> str:
    if not isfinite(interval.low):
        return percent(interval.estimate)
    return f"{percent(interval.estimate)} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


_PAIRS: dict[Task, Callable[[Any], list[tuple[str, str]]]] = {"asr": _recognition_pairs, "emotion": _emotion_pairs}
