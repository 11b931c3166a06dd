"""``allophone export``: tables and figures of a run for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import say

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv or parquet (numbers), latex or markdown (as printed), png or svg (figure), or card "
            "(a result card to send: totals and intervals, no utterance, no path).",
        ),
    ] = "csv",
    cost: Annotated[
        list[str] | None, typer.Option(help="Cost, as for frontier; given twice, a table for each. rtf if none is.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Probability from which a verdict is given.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; else 'export' in the run.")] = None,
) -> None:
    """Write every table and figure of a run as CSV, Parquet, LaTeX, Markdown, PNG or SVG, or a result card."""
    from allophone.errors import UsageError
    from allophone.export.files import FORMATS, export_frontier
    from allophone.frontier.pareto import Frontier
    from allophone.frontier.probability import check_confidence
    from allophone.frontier.summarise import summarise_run
    from allophone.records.saved_point import DECISION_FILE, read_decision

    found = next((known for known in FORMATS if known == form.lower()), None)
    if found is None:
        raise UsageError(f"--format {form}: unknown; known: {', '.join(FORMATS)}.")
    check_confidence(confidence)
    summary = summarise_run(run)
    decision = run / DECISION_FILE
    chosen = read_decision(decision).point.name if decision.is_file() else None
    written = []
    for one in dict.fromkeys(cost or ("rtf",)):
        frontier = Frontier.from_summary(summary, one, confidence)
        written += export_frontier(frontier, found, out or run / "export", chosen)
    for path in dict.fromkeys(written):
        say(str(path))
