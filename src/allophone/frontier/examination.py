"""What is asked of one point of a run whatever its task: which one, and how every axis round it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from allophone.errors import SpaceError
from allophone.frontier.axes import Axis
from allophone.frontier.axis_verdict import AxisDiagnosis, judge_axis
from allophone.frontier.elasticity import FEW_UTTERANCES, Changes
from allophone.frontier.emotion_summary import AnySummary
from allophone.frontier.pareto import REPLICATES, Frontier, FrontierPoint
from allophone.frontier.purchases import Binding, find_binding
from allophone.frontier.uncertainty import Status
from allophone.measure.blocks import Resample, draw_blocks
from allophone.point_file import DECISION_FILE, read_decision

__all__ = ["BaseSource", "Examined", "examine", "find_base"]

_NAMED_POINTS = 24

BaseSource = Literal["asked", "recommended", "centre"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What is asked of a point whatever its task.

    Args:
        axes: One per axis.
        binding: The binding axis, or None.
        wasted: Names of the wasted axes.
        standing: The point's place relative to the frontier.
        status: That place's verdict; ``tied`` where there is too little to say.
        resample: The draws that everything was judged on.
    """

    axes: tuple[AxisDiagnosis, ...]
    binding: Binding | None
    wasted: tuple[str, ...]
    standing: FrontierPoint
    status: Status
    resample: Resample


def examine(
    run: AnySummary, frontier: Frontier, base: int, cost: str, margin: float, names: Sequence[Axis]
) -> Examined:
    """Judge every axis round a point, speakers resampled as blocks and all points paired.

    Args:
        run: The summarised run.
        frontier: Its frontier, of that cost; its confidence counts.
        base: Number of the point among the run's.
        cost: Name of what is spent.
        margin: What counts as no gain or no loss, as a fraction.
        names: The axes.
    """
    resample = draw_blocks(run.samples.speakers, n_replicates=REPLICATES)
    changes = Changes(run.samples, cost, resample, frontier.confidence, margin)
    enough = len(run.samples.utterances) >= FEW_UTTERANCES and resample.n_blocks > 1
    points = [summary.point for summary in run.points]
    axes = tuple(judge_axis(axis, points, base, changes, enough=enough) for axis in names)
    standing = next(item for item in frontier.points if item.name == run.points[base].name)
    return Examined(
        axes=axes,
        binding=find_binding(axes, [summary.name for summary in run.points], base, changes),
        wasted=tuple(axis.axis for axis in axes if axis.status == "wasted"),
        standing=standing,
        status=standing.status if enough else "tied",
        resample=resample,
    )


def find_base(folder: Path, run: AnySummary, asked: str | None) -> tuple[int, BaseSource]:
    """Find the point to diagnose: the one asked for, the recommended one, or the first of the plan.

    Args:
        folder: The run folder.
        run: The same, summarised.
        asked: Name of a measured point, or None.

    Raises:
        SpaceError: The point asked for is not measured.
        UsageError: ``decision.json`` is damaged.
    """
    names = [point.name for point in run.points]
    if asked is not None:
        if asked in names:
            return names.index(asked), "asked"
        known = ", ".join(names[:_NAMED_POINTS]) + (", ..." if len(names) > _NAMED_POINTS else "")
        planned = asked in {point.name for point in run.run.points}
        problem = "is planned but not measured yet" if planned else "is not in this run"
        raise SpaceError(f"{folder}: point '{asked}' {problem}; measured points: {known}.")
    decision = folder / DECISION_FILE
    if decision.exists():
        recommended = read_decision(decision).point.name
        if recommended in names:
            return names.index(recommended), "recommended"
    return 0, "centre"
