"""``allophone frontier``: which measured points are worth having."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.price import PricePerHour, read_price
from allophone.cli.say import say
from allophone.cli.show import Csv, Wide

__all__ = ["frontier"]


def frontier(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    cost: Annotated[
        list[str] | None,
        typer.Option(
            help="rtf (the default), executed_gflops, published_gflops, latency_p50_s, latency_p95_s, "
            "latency_p99_s, peak_memory_bytes, rtf_throughput or price_per_audio_hour; of emotion runs also "
            "trainable_params, training_gflops or train_s; given twice, both."
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Probability from which a verdict is given.")] = 0.95,
    policy: Annotated[
        list[Path] | None, typer.Option(help="A routing policy to weigh against the points; can be repeated.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Human transcripts of a sample, as 'allophone label' draws it: WER from these.")
    ] = None,
    price_per_hour: PricePerHour = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, seconds, bytes.")] = False,
    as_csv: Csv = False,
    wide: Wide = False,
) -> None:
    """Show the frontier and the dominated points of a run."""
    from allophone.cli.show import print_csv, print_table, refuse_two_formats
    from allophone.frontier.pareto import Frontier
    from allophone.frontier.price import price_run
    from allophone.frontier.probability import check_confidence
    from allophone.frontier.recognition import RecognitionRunSummary
    from allophone.frontier.summarise import summarise_run
    from allophone.frontier.summary import RunSummary
    from allophone.labels.apply import apply_transcripts, refuse_policies
    from allophone.records.names import title_of
    from allophone.report.tables import frontier_table
    from allophone.routing.as_points import add_policies

    refuse_two_formats(as_json=as_json, as_csv=as_csv)
    check_confidence(confidence)
    if labels is not None:
        refuse_policies(policy or ())
        summary: RunSummary = apply_transcripts(summarise_run(run, RecognitionRunSummary), run, labels)
    elif policy:
        summary = add_policies(summarise_run(run, RecognitionRunSummary), run, policy)
    else:
        summary = summarise_run(run)
    price = read_price(price_per_hour, None)
    summary = summary if price is None else price_run(summary, price)
    found = Frontier.from_summary(summary, cost or ("rtf" if price is None else "price_per_audio_hour"), confidence)
    if as_json:
        say(found.to_json())
        return
    if as_csv:
        print_csv(
            {"id": point["name"], "title": title_of(point["name"]), **point} for point in found.to_dict()["points"]
        )
        return
    print_table(frontier_table(found), wide=wide)
