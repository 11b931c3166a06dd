"""The diagnosis of an emotion run as people read it, in points of UAR where more is better."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from allophone.diagnosis.advice import Answer
from allophone.diagnosis.axis_verdict import AxisDiagnosis
from allophone.diagnosis.elasticity import AxisChange, Elasticity
from allophone.diagnosis.emotion import DepthPair, DurationAnswer, EmotionDiagnosis
from allophone.measure.bootstrap import Interval
from allophone.records.names import title_of
from allophone.report.diagnosis import (
    SOURCES,
    axis_row,
    dominated_words,
    move_words,
    percent,
    probability,
    signed,
    verdict_lines,
)
from allophone.report.tables import Table

__all__ = ["emotion_answer_pairs", "emotion_lines", "emotion_table", "emotion_verdict_lines"]


def emotion_table(diagnosis: EmotionDiagnosis) -> Table:
    """Return one row per axis: its settings and their cost, the elasticity here and everywhere, the verdict."""
    shown = _as_gains(diagnosis)
    base, cost = shown.base, shown.cost
    level = f"{100 * shown.confidence:g} %"
    return Table(
        title=f"{base.title} ({SOURCES[shown.base_source]}): UAR {percent(base.uar)}, {cost.title} "
        f"{cost.show(getattr(base, cost.name))}, {base.n_utterances} utterances of {shown.run.run.corpus}",
        columns=("axis", "buys", "settings (cost here = 1)", "UAR per doubling, here", "in the whole run", "verdict"),
        rows=tuple(axis_row(axis, shown) for axis in shown.axes),
        muted=tuple(axis.status == "not measured" for axis in shown.axes),
        notes=(
            *shown.run.notices,
            *shown.warnings,
            f"UAR per doubling: points of UAR for twice the {cost.title} spent on this axis alone; more is better. In "
            "parentheses: relative to what this point misses, and the number of pairs of points. Brackets: "
            f"{level} intervals, speakers resampled together, points paired. As good means worse by less than "
            f"{100 * shown.margin:g} points. Adapters and unfrozen layers cost nothing at inference; --cost "
            "training_gflops or trainable_params prices them.",
        ),
    )


def emotion_lines(diagnosis: EmotionDiagnosis) -> list[str]:
    """Return what follows the table: what binds, what is wasted, the next step, and the answers."""
    answers = [f"{question} {answer}" for question, answer in emotion_answer_pairs(diagnosis)]
    return [*emotion_verdict_lines(diagnosis), "", *answers]


def emotion_verdict_lines(diagnosis: EmotionDiagnosis) -> list[str]:
    """Return three sentences: what binds, what is wasted, the next step."""
    return verdict_lines(_as_gains(diagnosis))


def emotion_answer_pairs(diagnosis: EmotionDiagnosis) -> list[tuple[str, str]]:
    """Return every question with its answer."""
    shown = _as_gains(diagnosis)
    capacity, adaptation, dominated = shown.answers
    return [
        ("Capacity: would a bigger encoder pay?", _capacity(capacity, shown)),
        ("Duration: is there a best one?", _duration(shown.duration, shown)),
        ("Adaptation: would training more of the encoder pay?", _adaptation(adaptation, shown)),
        ("Depth or rank: which is better at equal trained parameters?", _depth(shown.depth, shown)),
        ("Dominated: does another point beat this one?", dominated_words(dominated, shown.standing)),
    ]


def _capacity(answer: Answer, shown: EmotionDiagnosis) -> str:
    move = answer.move
    if move is None:
        return "Not measured."
    if answer.verdict != "not measured":
        return _moved(answer, move, shown)
    return (
        f"Not measured: this is the dearest encoder of the run. With {move_words(move)} "
        f"(p {probability(move.p_worse)} that the smaller one is worse), so a bigger one is worth measuring."
    )


def _adaptation(answer: Answer, shown: EmotionDiagnosis) -> str:
    if answer.move is None:
        return "Not measured: no other setting of this encoder and duration trains more parameters."
    return _moved(answer, answer.move, shown)


def _moved(answer: Answer, move: AxisChange, shown: EmotionDiagnosis) -> str:
    told = f"{move.axis} {move_words(move)}"
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
        gain = found.over_longest
        return (
            f"Yes, {found.at_s:g} s: {signed(gain.estimate)} points [{signed(gain.low)}, {signed(gain.high)}] over the "
            f"longest (p {probability(found.p)}).{rest}"
        )
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
        f"{signed(pair.gain.estimate)} points [{signed(pair.gain.low)}, {signed(pair.gain.high)}] "
        f"(p {probability(pair.p_depth)})"
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


def _interval(interval: Interval) -> str:
    if not isfinite(interval.low):
        return percent(interval.estimate)
    return f"{percent(interval.estimate)} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _as_gains(diagnosis: EmotionDiagnosis) -> EmotionDiagnosis:
    """Return the diagnosis with changes of UAR, where more is better, in place of changes of one minus it."""
    binding, step = diagnosis.binding, diagnosis.next_step
    if binding is not None:
        binding = replace(binding, move=_gain(binding.move), rival=_gain_or_none(binding.rival))
    return replace(
        diagnosis,
        axes=tuple(_gains(axis) for axis in diagnosis.axes),
        binding=binding,
        next_step=replace(step, move=_gain_or_none(step.move)),
        answers=tuple(replace(answer, move=_gain_or_none(answer.move)) for answer in diagnosis.answers),
    )


def _gains(axis: AxisDiagnosis) -> AxisDiagnosis:
    return replace(
        axis,
        exhausted=axis.exhausted and any(move.order != "equal" for move in axis.moves),  # of equals none is dearest
        here=_turned(axis.here),
        everywhere=_turned(axis.everywhere),
        moves=tuple(_gain(move) for move in axis.moves),
        free_improvement=_gain_or_none(axis.free_improvement),
        costlier_improvement=_gain_or_none(axis.costlier_improvement),
        unproven_improvement=_gain_or_none(axis.unproven_improvement),
        safe_saving=_gain_or_none(axis.safe_saving),
        unproven_saving=_gain_or_none(axis.unproven_saving),
        still_improving=_gain_or_none(axis.still_improving),
    )


def _gain_or_none(move: AxisChange | None) -> AxisChange | None:
    return None if move is None else _gain(move)


def _gain(move: AxisChange) -> AxisChange:
    return replace(move, change=_minus(move.change), elasticity=_turned(move.elasticity))


def _turned(elasticity: Elasticity | None) -> Elasticity | None:
    if elasticity is None:
        return None
    return replace(elasticity, per_doubling=_minus(elasticity.per_doubling), relative=-elasticity.relative)


def _minus(interval: Interval) -> Interval:
    return replace(interval, low=-interval.high, high=-interval.low, estimate=-interval.estimate)
