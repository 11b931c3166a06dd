"""``allophone report``: one HTML file about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import say

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    cost: Annotated[str, typer.Option(help="Cost on the horizontal axis, as for frontier.")] = "rtf",
    out: Annotated[Path | None, typer.Option(help="Where to write it; else report.html in the run.")] = None,
) -> None:
    """Write a self-contained HTML report of a run."""
    from allophone.report.html import write_report

    say(f"Report: {write_report(run, cost, out)}")
