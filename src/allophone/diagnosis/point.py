"""Diagnosis of one point whatever the task: which one, and how every axis round it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from allophone.diagnosis.advice import Answer, Binding, NextStep, choose_step, find_binding
from allophone.diagnosis.axes import Axis
from allophone.diagnosis.axis_verdict import AxisDiagnosis, judge_axis
from allophone.diagnosis.elasticity import PairedChanges
from allophone.errors import SpaceError
from allophone.frontier.objectives import OBJECTIVES, Objective, find_cost
from allophone.frontier.pareto import REPLICATES, Frontier, FrontierPoint
from allophone.frontier.summary import PointSummary, RunSummary
from allophone.frontier.uncertainty import Status, too_few
from allophone.measure.blocks import Resample, draw_blocks
from allophone.records.names import match_names
from allophone.records.saved_point import DECISION_FILE, read_decision

__all__ = ["MARGIN", "BaseSource", "PointDiagnosis", "diagnose_point"]

MARGIN = 0.005  # half a point of error rate: what counts as no gain or no loss
_NAMED_POINTS = 24

BaseSource = Literal["asked", "recommended", "centre"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDiagnosis:
    """What a diagnosis says about a point, whatever the task.

    Args:
        run: The summarised run.
        base: The point diagnosed.
        base_source: Why this one: asked for, recommended in ``decision.json``, or the centre of the plan.
        cost: What is spent.
        confidence: Probability from which something is sure.
        margin: What counts as no gain or no loss, as a fraction.
        axes: One per axis.
        binding: The binding axis, or None where no purchase surely pays.
        wasted: Names of the wasted axes.
        next_step: What to do next.
        standing: The base point's place relative to the frontier.
        status: That place's verdict; ``too few`` where there is too little to say.
        warnings: What a reader must know.
        resample: The draws that everything was judged on.
        answers: To the operator's questions on this task, in order.
    """

    run: RunSummary
    base: PointSummary
    base_source: BaseSource
    cost: Objective
    confidence: float
    margin: float
    axes: tuple[AxisDiagnosis, ...]
    binding: Binding | None
    wasted: tuple[str, ...]
    next_step: NextStep
    standing: FrontierPoint
    status: Status
    warnings: tuple[str, ...]
    resample: Resample
    answers: tuple[Answer, ...] = ()

    @property
    def quality(self) -> Objective:
        """What changes are of; lower is better."""
        return OBJECTIVES[self.run.samples.quality]

    @property
    def faultless(self) -> bool:
        """Whether the base point makes no error at all."""
        return bool(getattr(self.base, self.quality.name) == 0)


def diagnose_point(
    folder: Path,
    run: RunSummary,
    point: str | None,
    cost: str,
    confidence: float,
    margin: float,
    names: Sequence[Axis],
) -> PointDiagnosis:
    """Judge every axis round a point, speakers resampled as blocks and all points paired.

    Args:
        folder: The run folder.
        run: The same, summarised.
        point: Name of a measured point, or None.
        cost: Name of what is spent.
        confidence: Probability from which something is sure, above 0.5; also the level of the intervals.
        margin: What counts as no gain or no loss, as a fraction.
        names: The axes.

    Raises:
        SpaceError: Unknown point or cost, a cost that was not measured, an impossible confidence or margin.
        UsageError: ``decision.json`` is damaged.
    """
    objective = find_cost(cost, run.task)
    if not (isfinite(margin) and margin > 0):
        raise SpaceError(f"the margin is {margin}; it must be a positive number.")
    frontier = Frontier.from_summary(run, cost, confidence)
    base, source = _find_base(folder, run, point)
    if not isfinite(getattr(run.points[base], cost)):
        raise SpaceError(f"{cost} was not measured at {run.points[base].title}; choose another --cost.")
    resample = draw_blocks(run.samples.speakers, n_replicates=REPLICATES)
    changes = PairedChanges(run.samples, cost, resample, confidence, margin)
    enough = not too_few(resample)
    points = [summary.point for summary in run.points]
    axes = tuple(judge_axis(axis, points, base, changes, enough=enough) for axis in names)
    binding = find_binding(axes, [summary.name for summary in run.points], base, changes)
    standing = next(item for item in frontier.points if item.name == run.points[base].name)
    return PointDiagnosis(
        run=run,
        base=run.points[base],
        base_source=source,
        cost=objective,
        confidence=confidence,
        margin=margin,
        axes=axes,
        binding=binding,
        wasted=tuple(axis.axis for axis in axes if axis.status == "wasted"),
        next_step=choose_step(axes, binding),
        standing=standing,
        status=standing.status,
        warnings=frontier.warnings,
        resample=resample,
    )


def _find_base(folder: Path, run: RunSummary, asked: str | None) -> tuple[int, BaseSource]:
    """Return the place of the point asked for, of the recommended one, or of the first of the plan, and why it."""
    names = [point.name for point in run.points]
    if asked is not None:
        found = [point for _, points in match_names([asked], run.run.points) for point in points]
        measured = [point for point in found if point.name in names]
        if len(measured) == 1:
            return names.index(measured[0].name), "asked"
        titles = [point.title for point in measured or run.points]
        known = "; ".join(titles[:_NAMED_POINTS]) + ("; ..." if len(titles) > _NAMED_POINTS else "")
        problem = "is planned but not measured yet" if found else "is not in this run"
        problem = "names several points" if measured else problem
        raise SpaceError(f"{folder}: point '{asked}' {problem}; measured points: {known}.")
    decision = folder / DECISION_FILE
    if decision.exists():
        recommended = read_decision(decision).point.name
        if recommended in names:
            return names.index(recommended), "recommended"
    return 0, "centre"
