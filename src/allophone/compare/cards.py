"""Two result cards compared: which of their figures may be compared at all, and what these differ by.

A card holds no utterance, so nothing is paired and no change has an interval: for that the run folders are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allophone.compare.changes import MACHINE_BOUND
from allophone.compare.pairing import other_machine
from allophone.errors import UsageError
from allophone.export.card import Card, CardMeasure, CardPoint, make_card, read_card
from allophone.frontier.objectives import OBJECTIVES, Objective
from allophone.frontier.summarise import summarise_run
from allophone.report.tables import Table

__all__ = [
    "CardComparison",
    "MeasurePair",
    "card_comparison_dict",
    "card_comparison_table",
    "compare_cards",
    "incomparable",
    "read_either",
]


@dataclass(frozen=True, slots=True)
class MeasurePair:
    """One measure of one point on both cards.

    Args:
        point: Title of the point.
        objective: What was measured.
        before: On the one card.
        after: On the other.
        obstacle: Why the two may not be compared, in words; None where they may.
    """

    point: str
    objective: Objective
    before: CardMeasure
    after: CardMeasure
    obstacle: str | None


@dataclass(frozen=True, slots=True)
class CardComparison:
    """Two cards side by side.

    Args:
        before: The one card.
        after: The other.
        pairs: Measures of the points on both cards.
        notices: What a reader must know.
    """

    before: Card
    after: Card
    pairs: tuple[MeasurePair, ...]
    notices: tuple[str, ...]


def read_either(path: Path) -> Card:
    """Return the card in a file, or that of a run folder.

    Raises:
        UsageError: The file is no card.
        LedgerError: The folder is no run.
    """
    return make_card(summarise_run(path)) if path.is_dir() else read_card(path)


def compare_cards(before: Card, after: Card) -> CardComparison:
    """Compare two cards point by point.

    Raises:
        UsageError: They are of different tasks, or share no point.
    """
    if before.task != after.task:
        raise UsageError(f"field 'task': a card of {before.task} and one of {after.task} cannot be compared.")
    theirs = {point.name: point for point in after.points}
    shared = [(point, theirs[point.name]) for point in before.points if point.name in theirs]
    if not shared:
        raise UsageError("the two cards share no operating point. Measure the same points on both machines.")
    pairs = [
        MeasurePair(one.title, OBJECTIVES[name], measure, other.measures[name], incomparable(before, after, name))
        for one, other in shared
        for name, measure in one.measures.items()
        if name in other.measures and name in OBJECTIVES
    ]
    return CardComparison(before, after, tuple(pairs), tuple(_notices(before, after, shared)))


def incomparable(before: Card, after: Card, name: str) -> str | None:
    """Return why a measure of two cards may not be compared, or None where it may.

    Errors and FLOPs compare on the same utterances, times and memory on the same machine besides.

    Args:
        before: The one card.
        after: The other.
        name: An objective.
    """
    if before.fingerprint != after.fingerprint or before.n_utterances != after.n_utterances:
        return "other utterances"
    if name in ("wer", "cer"):
        for field in ("normalizer", "relative_to"):
            if getattr(before, field) != getattr(after, field):
                return f"other {field.replace('_', ' ')}"
    if name in MACHINE_BOUND:
        return None if other_machine(before, after) is None else "other machine"
    return None


def card_comparison_dict(comparison: CardComparison) -> dict[str, Any]:
    """Return the comparison with fractions, seconds and bytes."""
    return {
        "schema_version": 1,
        "task": comparison.before.task,
        "notices": list(comparison.notices),
        "measures": [
            {
                "point": pair.point,
                "measure": pair.objective.name,
                "before": pair.before.model_dump(),
                "after": pair.after.model_dump(),
                "comparable": pair.obstacle is None,
                "obstacle": pair.obstacle,
            }
            for pair in comparison.pairs
        ],
    }


def card_comparison_table(comparison: CardComparison) -> Table:
    """Return the comparison as a table; what may not be compared stands back and has no difference."""
    rows: list[tuple[str, ...]] = []
    muted: list[bool] = []
    previous = None
    for pair in comparison.pairs:
        if pair.point != previous:
            rows.append((pair.point, "", "", ""))
            muted.append(False)
            previous = pair.point
        objective = pair.objective
        name = f"  {comparison.before.heading_of(objective.name)}"
        shown = [objective.show_number(measure.value) for measure in (pair.before, pair.after)]
        change = pair.after.value - pair.before.value
        rows.append((name, *shown, pair.obstacle or objective.show_change(change)))
        muted.append(pair.obstacle is not None)
    return Table(
        title="Two result cards",
        columns=("point, measure", "before", "after", "difference"),
        rows=tuple(rows),
        muted=tuple(muted),
        notes=comparison.notices,
    )


def _notices(before: Card, after: Card, shared: list[tuple[CardPoint, CardPoint]]) -> list[str]:
    notices = [
        f"before: {before.machine.processor}, {before.machine.cores} cores; after: {after.machine.processor}, "
        f"{after.machine.cores} cores.",
        "Cards hold totals, so differences have no intervals: for those compare the run folders.",
    ]
    changed = [
        one.title
        for one, other in shared
        if one.weights_sha256 and other.weights_sha256 and one.weights_sha256 != other.weights_sha256
    ]
    if changed:
        notices.append(f"Other weights under the same name: {'; '.join(changed)}.")
    if len(shared) < max(len(before.points), len(after.points)):
        notices.append(
            f"{len(shared)} points stand on both cards; {len(before.points)} and {len(after.points)} on each."
        )
    return notices
