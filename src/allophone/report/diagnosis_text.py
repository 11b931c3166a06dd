"""A diagnosis as people read it: a table and sentences."""

from __future__ import annotations

from collections.abc import Sequence

from allophone.diagnosis.axis_verdict import AxisDiagnosis
from allophone.diagnosis.elasticity import Elasticity
from allophone.diagnosis.emotion import EmotionDiagnosis
from allophone.diagnosis.recognition import Contrast, Diagnosis
from allophone.measure.anatomy import Anatomy, ErrorKind, GroupErrors
from allophone.report.diagnosis_answers import (
    answer_lines,
    cost_words,
    move_words,
    percent,
    points,
    probability,
    signed,
)
from allophone.report.tables import Table

__all__ = [
    "SOURCES",
    "AnyDiagnosis",
    "anatomy_lines",
    "axis_row",
    "diagnosis_lines",
    "diagnosis_table",
    "verdict_lines",
]

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
        title=f"{base.name}, {SOURCES[diagnosis.base_source]}: {record.quality_name} {percent(base.wer)}, "
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
    return [*verdict_lines(diagnosis), "", *answer_lines(diagnosis), "", *anatomy_lines(diagnosis)]


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
    if axis.status == "pays" and (gain := axis.free_gain or axis.paid_gain):
        return f"pays: {gain.setting}, {points(gain.change.estimate)} (p {probability(gain.p_better)}){end}"
    if axis.status == "wasted" and axis.saving:
        return f"wasted: {axis.saving.setting} is as good (p {probability(axis.saving.p_no_loss)}){end}"
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
    target = f"{step.move.target}"
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


def anatomy_lines(diagnosis: Diagnosis) -> list[str]:
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


def _contrast(base: Anatomy, contrast: Contrast, diagnosis: Diagnosis) -> str:
    other, setting = diagnosis.anatomy[contrast.move.target], f"{contrast.move.axis} {contrast.move.setting}"
    if contrast.kind is None:
        return f"With {setting}: as many errors, {other.total}."
    return (
        f"With {setting}: {other.total} errors, here {base.total}. They differ most in "
        f"{_kind(other, contrast.kind)}; here {base.errors[contrast.kind]}."
    )


def _kind(anatomy: Anatomy, kind: ErrorKind) -> str:
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
