"""Diagnosis as text and JSON: the operator's five questions with their answers, verdicts, error breakdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite, isnan
from typing import Any

from allophone.diagnosis.advice import Answer, Topic
from allophone.diagnosis.axis_verdict import AxisDiagnosis
from allophone.diagnosis.elasticity import AxisChange, Elasticity
from allophone.diagnosis.emotion import EmotionDiagnosis
from allophone.diagnosis.recognition import Contrast, Diagnosis
from allophone.frontier.pareto import FrontierPoint
from allophone.measure.error_breakdown import ErrorBreakdown, ErrorKind, GroupErrors
from allophone.records.names import title_of
from allophone.report.tables import Table

__all__ = [
    "SOURCES",
    "AnyDiagnosis",
    "answer_lines",
    "answer_pairs",
    "axis_row",
    "breakdown_lines",
    "cost_words",
    "diagnosis_json",
    "diagnosis_lines",
    "diagnosis_table",
    "dominated_words",
    "finite",
    "move_words",
    "percent",
    "points",
    "probability",
    "signed",
    "verdict_lines",
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


def move_words(move: AxisChange) -> str:
    """Say what a move changes: setting, error rate with its interval, cost."""
    change = move.change
    return (
        f"{move.setting}: {points(change.estimate)} [{signed(change.low)}, {signed(change.high)}] at {cost_words(move)}"
    )


def cost_words(move: AxisChange) -> str:
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


def _setting(answer: Answer, move: AxisChange, diagnosis: Diagnosis) -> str:
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


def _capacity(answer: Answer, move: AxisChange, diagnosis: Diagnosis) -> str:
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
        return f"Yes, by {title_of(standing.dominated_by or '')} (p {probability(standing.p_dominated)})."
    if answer.verdict == "no":
        return f"No (p {probability(standing.p_on_frontier)} that none does)."
    if answer.verdict == "not measured":
        return "Not measured."
    rival = ""
    if standing.dominated_by:
        rival = f"; likeliest {title_of(standing.dominated_by)}, p {probability(standing.p_dominated)}"
    return f"Undecided: p {probability(standing.p_on_frontier)} that no point does{rival}."


AnyDiagnosis = Diagnosis | EmotionDiagnosis

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


def diagnosis_table(diagnosis: Diagnosis) -> Table:
    """Return one row per axis: its settings and their cost, the elasticity here and everywhere, the verdict."""
    base, cost, record = diagnosis.base, diagnosis.cost, diagnosis.run.run
    level = f"{100 * diagnosis.confidence:g} %"
    return Table(
        title=f"{base.title} ({SOURCES[diagnosis.base_source]}): {record.quality_name} {percent(base.wer)}, "
        f"{cost.title} {cost.show(getattr(base, cost.name))}, {base.n_utterances} utterances of {record.corpus}",
        columns=(
            "axis",
            "buys",
            "settings (cost here = 1)",
            "points per doubling, here",
            "in the whole run",
            "verdict",
        ),
        rows=tuple(axis_row(axis, diagnosis) for axis in diagnosis.axes),
        muted=tuple(axis.status == "not measured" for axis in diagnosis.axes),
        notes=(
            *diagnosis.run.notices,
            *diagnosis.warnings,
            f"Points per doubling: change of the error rate, in percent of the reference words, for twice the "
            f"{cost.title} spent on this axis alone; less is better. In parentheses: relative to this point's errors, "
            f"and the number of pairs of points. Brackets: {level} intervals, speakers resampled together, points "
            f"paired. A verdict is given from p {diagnosis.confidence:g} that a change lies on one side, so its "
            f"interval may just reach the other. As good means worse by less than {100 * diagnosis.margin:g} points.",
        ),
    )


def diagnosis_lines(diagnosis: Diagnosis) -> list[str]:
    """Return what follows the table: what binds, what is wasted, the next step, five answers, and the errors."""
    return [*verdict_lines(diagnosis), "", *answer_lines(diagnosis), "", *breakdown_lines(diagnosis)]


def verdict_lines(diagnosis: AnyDiagnosis) -> list[str]:
    """Return three sentences: what binds, what is wasted, the next step."""
    return [_binding(diagnosis), _wasted(diagnosis), _next(diagnosis)]


def axis_row(axis: AxisDiagnosis, diagnosis: AnyDiagnosis) -> tuple[str, ...]:
    """Return an axis as a line of the table."""
    costs = {move.setting: f"{move.setting} ({move.cost_ratio:.2f})" for move in axis.moves}
    settings = " | ".join(costs.get(setting, f"{setting} (here)") for setting in axis.settings)
    verdict = _verdict(axis, diagnosis)
    return (axis.axis, axis.purchase, settings, _elasticity(axis.here), _elasticity(axis.everywhere), verdict)


def _verdict(axis: AxisDiagnosis, diagnosis: AnyDiagnosis) -> str:
    end = ""
    if axis.exhausted:
        end = f"; {axis.setting} is " + ("as far as it goes" if axis.at_limit else "the dearest setting measured")
    if axis.status == "pays" and (gain := axis.free_improvement or axis.costlier_improvement):
        return f"pays: {gain.setting}, {points(gain.change.estimate)} (p {probability(gain.p_better)}){end}"
    if axis.status == "wasted" and axis.safe_saving:
        return f"wasted: {axis.safe_saving.setting} is as good (p {probability(axis.safe_saving.p_no_loss)}){end}"
    if axis.status == "wasted":
        return f"wasted: no dearer setting gains {100 * diagnosis.margin:g} points"
    if axis.status == "needed":
        return f"needed: every cheaper setting makes more errors{end}"
    return axis.status + end


def _binding(diagnosis: AnyDiagnosis) -> str:
    binding = diagnosis.binding
    if diagnosis.faultless:
        return "Binding: nothing. This point makes no error on these utterances; measure harder audio."
    if binding is None:
        return "Binding: no axis. No dearer setting surely makes fewer errors."
    line = (
        f"Binding: {binding.axis}. {move_words(binding.move)} (p {probability(binding.move.p_better)} that it is better"
    )
    if binding.p_largest is not None:
        line += f", p {probability(binding.p_largest)} that no other purchase improves more per doubling"
    line += ")."
    if binding.rival:
        rival = binding.rival
        line += f" {rival.axis} {rival.setting} improved more per doubling as measured, but p is only "
        line += f"{probability(rival.p_better)} that it is better."
    return line


def _wasted(diagnosis: AnyDiagnosis) -> str:
    found = [
        f"{axis.axis} ({_verdict(axis, diagnosis).removeprefix('wasted: ')})"
        for axis in diagnosis.axes
        if axis.status == "wasted"
    ]
    return f"Wasted: {'; '.join(found)}." if found else "Wasted: no axis, as far as was measured."


def _next(diagnosis: AnyDiagnosis) -> str:
    step = diagnosis.next_step
    if step.move is None:
        return "Next: nothing to buy among what was measured. Measure more settings, or keep this point."
    target = title_of(step.move.target)
    if step.kind == "free":
        return (
            f"Next: take {target}. {move_words(step.move)}, so it costs nothing (p {probability(step.move.p_better)})."
        )
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
        f"Next: measure more utterances, best from more speakers. {step.axis} {move_words(step.move)}, but p is "
        f"only {probability(step.move.p_better)} that it is better at all."
    )


def breakdown_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the errors of the point by kind and group, indented, and how those of its neighbours differ."""
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


def _contrast(base: ErrorBreakdown, contrast: Contrast, diagnosis: Diagnosis) -> str:
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


def _elasticity(elasticity: Elasticity | None) -> str:
    if elasticity is None:
        return "-"
    value, pairs = elasticity.per_doubling, "pair" if elasticity.pairs == 1 else "pairs"
    return (
        f"{signed(value.estimate)} [{signed(value.low)}, {signed(value.high)}] "
        f"({percent(elasticity.relative)}; {elasticity.pairs} {pairs})"
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


def diagnosis_json(diagnosis: Diagnosis | EmotionDiagnosis) -> str:
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
        **_of_its_task(diagnosis),
        "notices": [*diagnosis.run.notices, *diagnosis.warnings],
        "machine": record.machine.model_dump(),
    }
    return json.dumps(finite(fields), indent=1, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """Return plain data with null for what is unknown or unbounded."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _of_its_task(diagnosis: Diagnosis | EmotionDiagnosis) -> dict[str, Any]:
    if isinstance(diagnosis, EmotionDiagnosis):
        return {
            "duration": asdict(diagnosis.duration) if diagnosis.duration else None,
            "depth_and_rank": [{**asdict(pair), "equal_size": pair.equal_size} for pair in diagnosis.depth],
        }
    return {"anatomy": {name: {**asdict(found), "total": found.total} for name, found in diagnosis.anatomy.items()}}
