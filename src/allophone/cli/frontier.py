"""``allophone frontier``: which measured points are worth having."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["frontier"]


def frontier(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    cost: Annotated[
        str, typer.Option(help="executed_gflops, rtf, latency_p50_s, latency_p95_s or peak_memory_bytes.")
    ] = "rtf",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, seconds, bytes.")] = False,
) -> None:
    """Show the frontier and the dominated points of a run."""
    from allophone.cli.show import print_table
    from allophone.frontier.pareto import Frontier
    from allophone.report.tables import frontier_table

    found = Frontier.from_run(run, cost)
    if as_json:
        typer.echo(found.to_json())
        return
    print_table(frontier_table(found))
