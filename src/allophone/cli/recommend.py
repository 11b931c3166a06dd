"""``allophone recommend``: from a wish to an operating point."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["recommend"]


def recommend(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    max_wer: Annotated[float | None, typer.Option(help="Largest word error rate, in percent.")] = None,
    max_rtf: Annotated[float | None, typer.Option(help="Largest processing time / audio time.")] = None,
    max_latency_p95_s: Annotated[
        float | None, typer.Option(help="Largest 95th percentile of latency, in seconds.")
    ] = None,
    max_gflops: Annotated[float | None, typer.Option(help="Most executed GFLOPs an utterance.")] = None,
    max_memory_gb: Annotated[
        float | None, typer.Option(help="Largest peak resident memory, in GB (1e9 bytes).")
    ] = None,
    minimise: Annotated[
        str | None,
        typer.Option(help="wer, rtf, latency_p50_s, latency_p95_s, executed_gflops or peak_memory_bytes."),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="Probability with which all limits must hold, e.g. 0.9; without it, as measured."),
    ] = None,
    policy: Annotated[
        list[Path] | None, typer.Option(help="A routing policy that competes with the points; can be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Save the operating point here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the saved form.")] = False,
) -> None:
    """Recommend an operating point under constraints, say what binds, and save it."""
    from allophone.report.decision import decide, save_decision

    given = {
        "wer": None if max_wer is None else max_wer / 100,
        "rtf": max_rtf,
        "latency_p95_s": max_latency_p95_s,
        "executed_gflops": max_gflops,
        "peak_memory_bytes": None if max_memory_gb is None else max_memory_gb * 1e9,
    }
    constraints = {name: limit for name, limit in given.items() if limit is not None}
    saved = decide(run, constraints, minimise, confidence, policy or ())
    save_decision(run, saved, out)
    if as_json:
        typer.echo(saved.model_dump_json(indent=1))
        return
    typer.echo(saved.question)
    for line in saved.explanation:
        typer.echo(f"  {line}")
    if saved.policy is not None:
        typer.echo(f"Run it with: allophone transcribe --policy {saved.policy} AUDIO...")
    elif out is not None:
        typer.echo(f"Saved. Run it with: allophone transcribe --point {out} AUDIO...")
