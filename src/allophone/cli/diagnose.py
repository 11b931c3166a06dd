"""``allophone diagnose``: which knob binds, which is wasted, what to buy next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import say, say_prose
from allophone.cli.show import Wide

__all__ = ["diagnose"]


def diagnose(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    point: Annotated[
        str | None,
        typer.Option(
            help="A measured point, by name or id (docs/names.md); else the recommended one, else the plan's centre."
        ),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            help="executed_gflops, published_gflops, rtf, latency_p50_s, latency_p95_s, peak_memory_bytes or "
            "rtf_throughput; of emotion runs also trainable_params, training_gflops or train_s."
        ),
    ] = "executed_gflops",
    confidence: Annotated[float, typer.Option(help="Probability from which something is sure.")] = 0.95,
    margin: Annotated[float, typer.Option(help="Points of error rate that count as no gain or no loss.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, GFLOPs, seconds, bytes.")] = False,
    wide: Wide = False,
) -> None:
    """Say which knob binds at an operating point, which is wasted, and what to buy next."""
    from allophone.cli.show import print_table
    from allophone.diagnosis.diagnose import diagnose as diagnose_run
    from allophone.frontier.probability import check_confidence
    from allophone.report.answers import diagnosis_lines
    from allophone.report.diagnosis import diagnosis_json, diagnosis_table

    check_confidence(confidence)
    found = diagnose_run(run, point, cost, confidence, margin / 100)
    if as_json:
        say(diagnosis_json(found))
        return
    print_table(diagnosis_table(found), wide=wide)
    say()
    for line in diagnosis_lines(found):
        say_prose(line)
