"""The diagnosis of a point in words: its table, what binds, what is wasted, the next step, its errors, and JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, isnan
from typing import Any

from allophone.diagnosis.axis_verdict import AxisDiagnosis
from allophone.diagnosis.elasticity import AxisChange, Elasticity
from allophone.diagnosis.emotion import EmotionDiagnosis
from allophone.diagnosis.point import PointDiagnosis
from allophone.diagnosis.recognition import Contrast, RecognitionDiagnosis
from allophone.files import json_text
from allophone.frontier.objectives import Objective
from allophone.measure.error_breakdown import ErrorBreakdown, ErrorKind, GroupErrors
from allophone.records.names import title_of
from allophone.records.point import Task
from allophone.report.tables import Table

__all__ = [
    "SOURCES",
    "breakdown_lines",
    "cost_words",
    "diagnosis_json",
    "diagnosis_table",
    "move_words",
    "percent",
    "probability",
    "verdict_lines",
]

_DECIMALS = 1  # of changes in points


def move_words(move: AxisChange, quality: Objective) -> str:
    """Say what a move changes: setting, quality with its interval, cost.

    Args:
        move: The move.
        quality: What its change is of.
    """
    change = move.change
    interval = quality.show_changes(change.low, change.high, _DECIMALS)
    return f"{move.setting}: {_points(change.estimate, quality)} {interval} at {cost_words(move)}"


def cost_words(move: AxisChange) -> str:
    """Say what a move costs, relative to the base point."""
    if move.order == "unknown":
        return "unknown cost"
    if move.order == "equal":
        return "equal cost"
    if move.cost_ratio < 0.005:
        return "less than a hundredth of the cost"
    return f"{move.cost_ratio:,.{0 if move.cost_ratio >= 100 else 2}f} times the cost"


def _points(change: float, quality: Objective) -> str:
    return "unknown" if isnan(change) else f"{quality.show_change(change, _DECIMALS)} points"


def percent(share: float) -> str:
    """Return a fraction in percent."""
    return f"{100 * share:.1f} %" if isfinite(share) else "undefined"


def probability(p: float) -> str:
    """Return a probability; never 0 or 1, a bootstrap is not certain of anything."""
    if isnan(p):
        return "unknown"
    return "> 0.99" if p > 0.99 else "< 0.01" if p < 0.01 else f"{p:.2f}"


_KINDS: dict[ErrorKind, str] = {
    "substitutions": "wrong words",
    "loop_insertions": "insertions in loops",
    "silence_insertions": "words heard in silence",
    "run_insertions": "invented phrases (three or more inserted words in a row)",
    "other_insertions": "single inserted words",
    "end_deletions": "missing last words (the text stops early)",
    "lost_deletions": "utterances with no text at all",
    "other_deletions": "missing words",
}
SOURCES = {
    "asked": "as asked",
    "recommended": "the recommended point",
    "centre": "the centre of the plan",
}


@dataclass(frozen=True, slots=True)
class _Words:
    """How the table speaks of a task's quality.

    Args:
        change: A change of it, as heads of columns have it.
        meaning: The same in full.
        better: Which way is better.
        relative_to: What a relative change is relative to.
        costs: What a reader of the costs must know.
    """

    change: str
    meaning: str
    better: str
    relative_to: str
    costs: str = ""


_WORDS: dict[Task, _Words] = {
    "asr": _Words(
        "points", "change of the error rate, in percent of the reference words,", "less", "this point's errors"
    ),
    "emotion": _Words(
        "UAR",
        "points of UAR",
        "more",
        "what this point misses",
        " Adapters and unfrozen layers cost nothing at inference; --cost training_gflops or trainable_params prices "
        "them.",
    ),
}


def diagnosis_table(diagnosis: PointDiagnosis) -> Table:
    """Return one row per axis: its settings and their cost, the elasticity here and everywhere, the verdict."""
    base, cost, record, quality = diagnosis.base, diagnosis.cost, diagnosis.run.run, diagnosis.quality
    words, level = _WORDS[diagnosis.run.task], f"{100 * diagnosis.confidence:g} %"
    here = percent(quality.shown(getattr(base, quality.name)) / quality.scale)
    return Table(
        title=f"{base.title} ({SOURCES[diagnosis.base_source]}): {record.quality_name} {here}, "
        f"{cost.title} {cost.show(getattr(base, cost.name))}, {base.n_utterances} utterances of {record.corpus_title}",
        columns=(
            "axis",
            "buys",
            "settings (cost here = 1)",
            f"{words.change} per doubling, here",
            "in the whole run",
            "verdict",
        ),
        rows=tuple(_axis_row(axis, diagnosis) for axis in diagnosis.axes),
        muted=tuple(axis.status == "not measured" for axis in diagnosis.axes),
        notes=(
            *diagnosis.run.notices,
            *diagnosis.warnings,
            f"{words.change[0].upper()}{words.change[1:]} per doubling: {words.meaning} for twice the {cost.title} "
            f"spent on this axis alone; {words.better} is better. In parentheses: relative to {words.relative_to}, and "
            f"the number of pairs of points. Brackets: {level} intervals, speakers resampled together, points paired. "
            f"A verdict is given from p {diagnosis.confidence:g} that a change lies on one side, so its interval may "
            f"just reach the other. As good means worse by less than {100 * diagnosis.margin:g} points.{words.costs}",
        ),
    )


def verdict_lines(diagnosis: PointDiagnosis) -> list[str]:
    """Return three sentences: what binds, what is wasted, the next step."""
    return [_binding(diagnosis), _wasted(diagnosis), _next(diagnosis)]


def _axis_row(axis: AxisDiagnosis, diagnosis: PointDiagnosis) -> tuple[str, ...]:
    costs = {move.setting: f"{move.setting} ({move.cost_ratio:.2f})" for move in axis.moves}
    settings = " | ".join(costs.get(setting, f"{setting} (here)") for setting in axis.settings)
    elasticities = (_elasticity(found, diagnosis.quality) for found in (axis.here, axis.everywhere))
    return (axis.axis, axis.purchase, settings, *elasticities, _verdict(axis, diagnosis))


def _verdict(axis: AxisDiagnosis, diagnosis: PointDiagnosis) -> str:
    end = ""
    if axis.exhausted and axis.at_limit:
        end = f"; {axis.setting} is as far as it goes"
    elif axis.exhausted and any(move.order != "equal" for move in axis.moves):  # of equals none is the dearest
        end = f"; {axis.setting} is the dearest setting measured"
    if axis.status == "pays" and (gain := axis.free_improvement or axis.costlier_improvement):
        gained = _points(gain.change.estimate, diagnosis.quality)
        return f"pays: {gain.setting}, {gained} (p {probability(gain.p_better)}){end}"
    if axis.status == "wasted" and axis.safe_saving:
        return f"wasted: {axis.safe_saving.setting} is as good (p {probability(axis.safe_saving.p_no_loss)}){end}"
    if axis.status == "wasted":
        return f"wasted: no dearer setting gains {100 * diagnosis.margin:g} points"
    if axis.status == "needed":
        return f"needed: every cheaper setting makes more errors{end}"
    return axis.status + end


def _binding(diagnosis: PointDiagnosis) -> str:
    binding = diagnosis.binding
    if diagnosis.faultless:
        return "Binding: nothing. This point makes no error on these utterances; measure harder audio."
    if binding is None:
        return "Binding: no axis. No dearer setting surely makes fewer errors."
    told = move_words(binding.move, diagnosis.quality)
    line = f"Binding: {binding.axis}. {told} (p {probability(binding.move.p_better)} that it is better"
    if binding.p_largest is not None:
        line += f", p {probability(binding.p_largest)} that no other purchase improves more per doubling"
    line += ")."
    if binding.rival:
        rival = binding.rival
        line += f" {rival.axis} {rival.setting} improved more per doubling as measured, but p is only "
        line += f"{probability(rival.p_better)} that it is better."
    return line


def _wasted(diagnosis: PointDiagnosis) -> str:
    found = [
        f"{axis.axis} ({_verdict(axis, diagnosis).removeprefix('wasted: ')})"
        for axis in diagnosis.axes
        if axis.status == "wasted"
    ]
    return f"Wasted: {'; '.join(found)}." if found else "Wasted: no axis, as far as was measured."


def _next(diagnosis: PointDiagnosis) -> str:
    step = diagnosis.next_step
    if step.move is None:
        return "Next: nothing to buy among what was measured. Measure more settings, or keep this point."
    target, told = title_of(step.move.target), move_words(step.move, diagnosis.quality)
    if step.kind == "free":
        return f"Next: take {target}. {told}, so it costs nothing (p {probability(step.move.p_better)})."
    if step.kind == "buy":
        return f"Next: buy {step.axis}: {target}."
    if step.kind == "save":
        return f"Next: save on {step.axis}: {target} is as good at {cost_words(step.move)}."
    if step.kind == "extend":
        return (
            f"Next: measure {step.axis} beyond what this run holds. Its dearest setting is in use, and the step up "
            f"from {step.move.setting} still paid (p {probability(step.move.p_worse)})."
        )
    return (
        f"Next: measure more utterances, best from more speakers. {step.axis} {told}, but p is "
        f"only {probability(step.move.p_better)} that it is better at all."
    )


def breakdown_lines(diagnosis: PointDiagnosis) -> list[str]:
    """Return the errors of the point by kind and group, and how its neighbours' differ; nothing if none are known."""
    return _BREAKDOWNS[diagnosis.run.task](diagnosis)


def _recognition_breakdown(diagnosis: RecognitionDiagnosis) -> list[str]:
    base = diagnosis.anatomy[diagnosis.base.name]
    if not base.total:
        lines = ["Errors of this point: none."]
    else:
        kinds = sorted((kind for kind in _KINDS if base.errors[kind]), key=lambda kind: -base.errors[kind])
        lines = [f"Errors of this point: {base.total} in {base.words} words."]
        lines += [f"  {_kind(base, kind)}" for kind in kinds]
        lines += ["  by length of the word said, share that came out as another word: " + _groups(base.by_length)]
        lines += [f"  by speaker: {_groups(base.by_speaker) if base.by_speaker else 'not measured'}"]
        lines += [f"  by signal-to-noise ratio: {_groups(base.by_snr) if base.by_snr else 'not measured'}"]
    silence = "no utterance is silent" if not base.silent else f"{base.silent} utterances are silent"
    lines.append(f"  {base.looping} of {base.utterances} texts loop; {silence}.")
    return lines + [_contrast(base, contrast, diagnosis) for contrast in diagnosis.contrasts]


_BREAKDOWNS: dict[Task, Callable[[Any], list[str]]] = {"asr": _recognition_breakdown, "emotion": lambda _: []}


def _contrast(base: ErrorBreakdown, contrast: Contrast, diagnosis: RecognitionDiagnosis) -> str:
    other, setting = diagnosis.anatomy[contrast.move.target], f"{contrast.move.axis} {contrast.move.setting}"
    if contrast.kind is None:
        return f"With {setting}: as many errors, {other.total}."
    return (
        f"With {setting}: {other.total} errors, here {base.total}. They differ most in "
        f"{_kind(other, contrast.kind)}; here {base.errors[contrast.kind]}."
    )


def _kind(anatomy: ErrorBreakdown, kind: ErrorKind) -> str:
    count, share = anatomy.errors[kind], anatomy.errors[kind] / anatomy.total if anatomy.total else 0.0
    where = f"in {anatomy.utterances_with[kind]} of {anatomy.utterances} utterances"
    return f"{_KINDS[kind]}: {count} ({100 * share:.0f} % of its errors) {where}"


def _groups(groups: Sequence[GroupErrors]) -> str:
    return "; ".join(
        f"{group.name} {percent(group.rate)} ({group.errors} of {group.words} words, {group.utterances} utterances"
        f"{f' of {group.speakers} speaker' + 's' * (group.speakers != 1) if group.speakers else ''})"
        for group in groups
    )


def _elasticity(elasticity: Elasticity | None, quality: Objective) -> str:
    if elasticity is None:
        return "-"
    value, pairs = elasticity.per_doubling, "pair" if elasticity.pairs == 1 else "pairs"
    return (
        f"{quality.show_change(value.estimate, _DECIMALS)} {quality.show_changes(value.low, value.high, _DECIMALS)} "
        f"({percent(-elasticity.relative if quality.complement else elasticity.relative)}; {elasticity.pairs} {pairs})"
    )


# Names in the JSON since its first version.
_JSON_NAMES = {
    "free_improvement": "free_gain",
    "costlier_improvement": "paid_gain",
    "unproven_improvement": "open_gain",
    "safe_saving": "saving",
    "unproven_saving": "open_saving",
    "cheaper_hurts": "less_harms",
}


def _axis_fields(axis: AxisDiagnosis) -> dict[str, Any]:
    return {_JSON_NAMES.get(name, name): value for name, value in asdict(axis).items()}


def diagnosis_json(diagnosis: PointDiagnosis) -> str:
    """Return a diagnosis as JSON.

    Args:
        diagnosis: Of either task; the changes of an emotion run are of one minus the UAR.
    """
    record, standing = diagnosis.run.run, diagnosis.standing
    fields = {
        "schema_version": record.schema_version,
        "task": record.task,
        "corpus": record.corpus,
        "fingerprint": record.fingerprint,
        "quality_name": record.quality_name,
        "base": {**asdict(diagnosis.base), "name": diagnosis.base.name, "point": diagnosis.base.point.model_dump()},
        "base_source": diagnosis.base_source,
        "cost": diagnosis.cost.name,
        "confidence": diagnosis.confidence,
        "margin": diagnosis.margin,
        "axes": [_axis_fields(axis) for axis in diagnosis.axes],
        "binding": asdict(diagnosis.binding) if diagnosis.binding else None,
        "wasted": diagnosis.wasted,
        "next_step": asdict(diagnosis.next_step),
        "answers": [asdict(answer) for answer in diagnosis.answers],
        "standing": {
            "status": standing.status,
            "p_on_frontier": standing.p_on_frontier,
            "dominated_by": standing.dominated_by,
            "p_dominated": standing.p_dominated,
        },
        **_FIELDS[record.task](diagnosis),
        "notices": [*diagnosis.run.notices, *diagnosis.warnings],
        "machine": record.machine.model_dump(),
    }
    return json_text(fields)


def _recognition_fields(diagnosis: RecognitionDiagnosis) -> dict[str, Any]:
    return {"anatomy": {name: {**asdict(found), "total": found.total} for name, found in diagnosis.anatomy.items()}}


def _emotion_fields(diagnosis: EmotionDiagnosis) -> dict[str, Any]:
    return {
        "duration": asdict(diagnosis.duration) if diagnosis.duration else None,
        "depth_and_rank": [{**asdict(pair), "equal_size": pair.equal_size} for pair in diagnosis.depth],
    }


_FIELDS: dict[Task, Callable[[Any], dict[str, Any]]] = {"asr": _recognition_fields, "emotion": _emotion_fields}
