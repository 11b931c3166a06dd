"""A comparison as a table, as Markdown for a pull request, and as a dictionary for JSON."""

from __future__ import annotations

from math import isfinite, isnan
from typing import Any

from allophone.compare.changes import Change, Comparison, Outcome
from allophone.export.markup import markdown_rows, markdown_text
from allophone.files import finite_or_null
from allophone.report.tables import Table

__all__ = ["comparison_dict", "comparison_markdown", "comparison_table", "outcome_lines"]

_COLUMNS = ("measure", "before", "after", "change", "worse?")


def comparison_table(comparison: Comparison) -> Table:
    """Return all changes as one table, a line per point and measure."""
    rows: list[tuple[str, ...]] = []
    muted: list[bool] = []
    several, previous = len(comparison.pair.points) > 1, None
    for change in comparison.changes:
        if several and change.point is not previous:  # a line of its own: names are long
            rows.append((change.point.title, *[""] * (len(_COLUMNS) - 1)))
            muted.append(False)
        previous = change.point
        name, *cells = _cells(comparison, change)
        rows.append((f"  {name}" if several else name, *cells))
        muted.append(isnan(change.p_regression))
    return Table(
        title=_title(comparison),
        columns=("point, measure", *_COLUMNS[1:]) if several else _COLUMNS,
        rows=tuple(rows),
        muted=tuple(muted),
        notes=(*_notes(comparison), *outcome_lines(comparison)),
        side=("before",),
    )


def outcome_lines(comparison: Comparison) -> tuple[str, ...]:
    """Return one sentence per condition, and the false-alarm rate that all of them keep together."""
    if not comparison.outcomes:
        return ()
    rate = f"{100 * (1 - comparison.confidence):g} %"
    return (
        *(f"{'FAILED' if outcome.failed else 'ok'}: {_outcome(outcome)}" for outcome in comparison.outcomes),
        f"Where nothing got worse than allowed, any of these conditions fails in {rate} of comparisons at most "
        "(docs/results/statements.md).",
    )


def comparison_markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown, the verdict first."""
    parts = [f"### {_title(comparison)}"]
    if comparison.outcomes:
        parts.append("\n".join(f"- {markdown_text(line)}" for line in outcome_lines(comparison)))
    rows = [(change.point.title, *_cells(comparison, change)) for change in comparison.changes]
    parts.append(markdown_rows(("point", *_COLUMNS), rows))
    parts.append("\n".join(f"- {markdown_text(note)}" for note in _notes(comparison)))
    return "\n\n".join(parts) + "\n"


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison with fractions, seconds and bytes; what cannot be said is None."""
    pair = comparison.pair
    return {
        "schema_version": 1,
        "task": pair.samples.task,
        "before": _run(pair.before.run),
        "after": _run(pair.after.run),
        "n_utterances": len(pair.samples.utterances),
        "n_speakers": comparison.n_speakers,
        "confidence": comparison.confidence,
        "in_progress": list(pair.in_progress),
        "other_machine": pair.other_machine,
        "notices": list(_notes(comparison)),
        "failed": comparison.failed,
        "false_alarm_rate": round(1 - comparison.confidence, 12) if comparison.outcomes else None,
        "conditions": [
            {
                "condition": outcome.condition.text,
                "failed": list(outcome.failed),
                "least_p_at": outcome.worst,
                "p": outcome.p,
            }
            for outcome in comparison.outcomes
        ],
        "changes": [
            {
                "before_point": change.point.before,
                "after_point": change.point.after,
                "measure": change.objective.name,
                "before": finite_or_null(change.before),
                "after": finite_or_null(change.after),
                "change": finite_or_null(change.difference.estimate),
                "interval": [finite_or_null(change.difference.low), finite_or_null(change.difference.high)],
                "p_regression": finite_or_null(change.p_regression),
            }
            for change in comparison.changes
        ],
    }


def _run(record: Any) -> dict[str, Any]:
    return {"corpus": record.corpus, "fingerprint": record.fingerprint, "created": record.created}


def _title(comparison: Comparison) -> str:
    pair, speakers = comparison.pair, comparison.n_speakers
    points = f": {pair.points[0].title}" if len(pair.points) == 1 else f", {len(pair.points)} points"
    heard = f"{len(pair.samples.utterances)} utterances of {speakers} speaker{'' if speakers == 1 else 's'}"
    return f"After against before{points}, {heard}"


def _notes(comparison: Comparison) -> tuple[str, ...]:
    level = f"{100 * comparison.confidence:g} %"
    return (
        *comparison.pair.notices,
        *comparison.warnings,
        f"Brackets: {level} intervals of the paired change, speakers resampled together; each holds for itself.",
        "Worse: where nothing changed, 95 % sure or more is said in one comparison of twenty.",
    )


def _cells(comparison: Comparison, change: Change) -> tuple[str, ...]:
    objective = change.objective
    return (
        comparison.pair.before.run.heading_of(objective.name, objective.heading),
        objective.show_number(change.before),
        objective.show_number(change.after),
        _difference(change),
        "no change" if _still(change) else _sure(change.p_regression),
    )


def _sure(confidence: float) -> str:
    """Never 0 or 100 %: a bootstrap is not certain of anything."""
    if isnan(confidence):
        return "unknown"
    return (
        "> 99 % sure" if confidence > 0.99 else "< 1 % sure" if confidence < 0.01 else f"{100 * confidence:.0f} % sure"
    )


def _still(change: Change) -> bool:
    return change.difference.estimate == change.difference.low == change.difference.high == 0


def _difference(change: Change) -> str:
    if _still(change):
        return "0"
    objective, found = change.objective, change.difference
    shown = objective.show_change(found.estimate)
    if not (isfinite(found.low) and isfinite(found.high)):
        return shown
    return f"{shown} {objective.show_changes(found.low, found.high)}"


def _outcome(outcome: Outcome) -> str:
    shown = f"p {outcome.p:.3f}" if outcome.p >= 0.001 else "p < 0.001"
    if not outcome.failed:
        return f"{outcome.condition.text} is not shown ({shown})."
    where = "; ".join(outcome.failed)
    return f"{outcome.condition.text} at {where} ({shown})."
