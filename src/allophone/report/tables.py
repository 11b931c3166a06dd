"""Tables as rows of strings, for the terminal and the HTML report alike."""

from __future__ import annotations

from dataclasses import dataclass

from allophone.frontier.objectives import OBJECTIVES
from allophone.frontier.pareto import Frontier

__all__ = ["Table", "frontier_table"]

_COLUMNS = ("wer", "rtf", "latency_p95_s", "executed_gflops", "peak_memory_bytes")


@dataclass(frozen=True, slots=True)
class Table:
    """A table ready to print.

    Args:
        title: Stands above it.
        columns: Heads.
        rows: Cells, as many as heads in every row.
        muted: For every row whether it should stand back (a dominated point).
        notes: Lines below.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    muted: tuple[bool, ...]
    notes: tuple[str, ...]


def frontier_table(frontier: Frontier) -> Table:
    """Return the frontier as a table, cheapest point first."""
    record = frontier.run.run
    heads = {
        "wer": "WER %" if record.relative_to is None else "diff. %",
        "rtf": "RTF",
        "latency_p95_s": "p95 latency s",
        "executed_gflops": "GFLOPs/utt.",
        "peak_memory_bytes": "peak MB",
    }
    rows = []
    for point in frontier.points:
        summary = point.summary
        cells = [OBJECTIVES[name].show(getattr(summary, name)).split(" ")[0] for name in _COLUMNS]
        verdict = "on frontier" if point.status == "on" else f"dominated by {_listed(point.dominated_by)}"
        errors = f"{summary.substitutions}/{summary.deletions}/{summary.insertions}"
        rows.append((point.name, *cells, errors, verdict))
    first = frontier.points[0].summary
    compared = f"{first.n_utterances} utterances, {first.audio_s / 60:.1f} min"
    return Table(
        title=f"{record.quality_name} against {frontier.cost.title}: {compared} of {record.corpus}",
        columns=("point", *(heads[name] for name in _COLUMNS), "S/D/I", "verdict"),
        rows=tuple(rows),
        muted=tuple(point.status == "dominated" for point in frontier.points),
        notes=(*frontier.run.notices, f"Words are compared after the {record.normalizer} normaliser."),
    )


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
