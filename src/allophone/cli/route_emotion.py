"""``allophone route emotion``: would a cascade over points of an emotion run pay?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import say
from allophone.cli.show import Wide

__all__ = ["route_emotion"]


def route_emotion(
    run: Annotated[Path, typer.Argument(help="A run folder of --task emotion.")],
    points: Annotated[
        str, typer.Option(help="Two or more of its points, cheap to dear, by name or id, comma-separated.")
    ],
    big_share: Annotated[
        float | None, typer.Option(help="Share, 0 to 1, that may reach the last point; 0.3 where nothing is given.")
    ] = None,
    budget_gflops: Annotated[float | None, typer.Option(help="Mean executed GFLOPs per utterance to keep to.")] = None,
    confidence: Annotated[float, typer.Option(help="Probability, 0.5 to 1, with which new speakers keep to it.")] = 0.9,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds of speakers.")] = 0,
    models: Annotated[
        str | None,
        typer.Option(help="With --out: folders that 'allophone adapt emotion' wrote, one per point, comma-separated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the cascade as a policy for 'allophone classify --policy'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, GFLOPs, seconds.")] = False,
    wide: Wide = False,
) -> None:
    """Replay a cascade on the cheap point's posterior, chosen and judged on different speakers."""
    from allophone.cli.show import print_table
    from allophone.errors import UsageError
    from allophone.report.emotion_routing import cascade_json, cascade_table
    from allophone.routing.emotion import read_candidates
    from allophone.routing.emotion import route_emotion as judge
    from allophone.routing.thresholds import CalibrationTarget

    if big_share is not None and budget_gflops is not None:
        raise UsageError("give one of --big-share and --budget-gflops.")
    goal = (
        CalibrationTarget("gflops", budget_gflops, confidence)
        if budget_gflops is not None
        else CalibrationTarget("big_share", 0.3 if big_share is None else big_share, confidence)
    )
    if (models is None) != (out is None):
        raise UsageError("--out writes a cascade of --models: give both, or neither to judge only.")
    names = [name.strip() for name in points.split(",") if name.strip()]
    candidates = read_candidates(run, names)
    folders = [Path(name.strip()) for name in (models or "").split(",") if name.strip()]
    if out is not None:
        from allophone.emotion.policy import check_cascade, write_emotion_policy

        check_cascade(out, run, candidates, folders)
    found = judge(candidates, goal, seed=seed)
    if as_json:
        say(cascade_json(found))
    else:
        print_table(cascade_table(found), wide=wide)
    if out is None:
        return
    policy = write_emotion_policy(out, run, candidates, found, folders)
    say(
        f"{out}: escalates where the uncertainty ({policy.signal.replace('_', ' ')}) is above {policy.threshold:.3f}. "
        f"Run it: allophone classify a.wav --policy {out}",
        err=as_json,
    )
