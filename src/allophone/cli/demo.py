"""``allophone demo``: the whole path on synthetic speech, without a model hub."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import say

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    max_rtf: Annotated[
        float, typer.Option(help="The budget of the demo's question: processing time / audio time.")
    ] = 0.1,
) -> None:
    """Synthesise a corpus, sweep two models over it, and show frontier, recommendation and report."""
    from allophone.cli.show import print_table, show_progress
    from allophone.decide import decide, save_decision
    from allophone.demo.corpus import build_demo_corpus
    from allophone.errors import InfeasibleError
    from allophone.frontier.pareto import Frontier
    from allophone.report.html import write_report
    from allophone.report.tables import frontier_table
    from allophone.sweeps.recognition.run import Progress, sweep

    say("Synthesising the demo corpus (once; it is cached) ...")
    with show_progress() as progress:
        manifest = build_demo_corpus(progress=lambda done, total: progress(Progress("synthesising", done, total, None)))
    say("Measuring operating points; Ctrl-C stops, the same command continues ...")
    with show_progress() as progress:
        sweep(manifest, out=out, models=["tiny.en", "base"], progress=progress)
    say("")
    print_table(frontier_table(Frontier.from_run(out)))
    say("")
    try:
        decision = decide(out, {"rtf": max_rtf})
    except InfeasibleError as error:
        # A slow machine: say by how much the budget is missed, then answer without it.
        say(str(error))
        decision = decide(out, {})
    save_decision(out, decision, out / "point.json")
    say(decision.question)
    for line in decision.explanation:
        say(f"  {line}")
    say("")
    say(f"Report:     {write_report(out)}")
    say(f"Saved:      {out / 'point.json'}")
    # Without an activated environment the bare name would not be found.
    command = "allophone" if shutil.which("allophone") else sys.argv[0]
    say(f"Run it:     {command} transcribe --point {out / 'point.json'} YOUR.wav")
