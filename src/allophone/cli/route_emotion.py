"""``allophone route emotion``: would a cascade over points of an emotion run pay?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["route_emotion"]


def route_emotion(
    run: Annotated[Path, typer.Argument(help="A run folder of --task emotion.")],
    points: Annotated[str, typer.Option(help="Two or more of its points, cheap to dear, comma-separated.")],
    big_share: Annotated[
        float | None, typer.Option(help="Share, 0 to 1, that may reach the last point; 0.3 where nothing is given.")
    ] = None,
    budget_gflops: Annotated[float | None, typer.Option(help="Mean executed GFLOPs an utterance to keep to.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds of speakers.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, GFLOPs, seconds.")] = False,
) -> None:
    """Replay a cascade on the cheap point's posterior, chosen and judged on different speakers."""
    from allophone.cli.show import print_table
    from allophone.errors import UsageError
    from allophone.report.emotion_routing import cascade_json, cascade_table
    from allophone.routing.calibration import Wish
    from allophone.routing.emotion_cascade import read_candidates
    from allophone.routing.emotion_routing import route_emotion as judge

    if big_share is not None and budget_gflops is not None:
        raise UsageError("give one of --big-share and --budget-gflops.")
    wish = (
        Wish("gflops", budget_gflops)
        if budget_gflops is not None
        else Wish("big_share", 0.3 if big_share is None else big_share)
    )
    names = [name.strip() for name in points.split(",") if name.strip()]
    found = judge(read_candidates(run, names), wish, seed=seed)
    if as_json:
        typer.echo(cascade_json(found))
        return
    print_table(cascade_table(found))
