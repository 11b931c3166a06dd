"""Everything that an emotion run says about one of its points: what binds, what is wasted, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from allophone.errors import SpaceError
from allophone.frontier.axes import EMOTION_AXES
from allophone.frontier.axis_verdict import AxisDiagnosis
from allophone.frontier.diagnosis import MARGIN
from allophone.frontier.emotion_questions import DepthPair, DurationAnswer, ask_depth, ask_duration
from allophone.frontier.emotion_summary import EmotionPointSummary, EmotionRunSummary, summarise_emotion
from allophone.frontier.examination import BaseSource, examine, find_base
from allophone.frontier.objectives import Objective, find_cost
from allophone.frontier.pareto import Frontier, FrontierPoint
from allophone.frontier.purchases import Answer, Binding, NextStep, answer_emotion_questions, choose_step

__all__ = ["EmotionDiagnosis", "diagnose_emotion"]


@dataclass(frozen=True, slots=True)
class EmotionDiagnosis:
    """Everything about one point of an emotion run; changes are of one minus the UAR, so that lower is better.

    Args:
        run: The summarised run.
        base: The point diagnosed.
        base_source: Why this one.
        cost: What is spent. Adapters and unfrozen layers cost nothing at inference, so that under a cost of inference
            a better one is free; ``training_gflops`` and ``trainable_params`` price them.
        confidence: Probability from which something is sure.
        margin: What counts as no gain or no loss, as a fraction.
        axes: One per axis.
        binding: The binding axis, or None where no purchase surely pays.
        wasted: Names of the wasted axes.
        next_step: What to do next.
        answers: On capacity, adaptation and domination.
        duration: Whether there is a best duration; None with fewer than three.
        depth: Depth against rank; empty where no pair is measured.
        standing: The base point's place relative to the frontier.
        warnings: What a reader must know.
    """

    run: EmotionRunSummary
    base: EmotionPointSummary
    base_source: BaseSource
    cost: Objective
    confidence: float
    margin: float
    axes: tuple[AxisDiagnosis, ...]
    binding: Binding | None
    wasted: tuple[str, ...]
    next_step: NextStep
    answers: tuple[Answer, ...]
    duration: DurationAnswer | None
    depth: tuple[DepthPair, ...]
    standing: FrontierPoint
    warnings: tuple[str, ...]

    @property
    def faultless(self) -> bool:
        """Whether the base point makes no error at all."""
        return self.base.uar_loss == 0


def diagnose_emotion(
    folder: str | Path,
    point: str | None = None,
    cost: str = "executed_gflops",
    confidence: float = 0.95,
    margin: float = MARGIN,
) -> EmotionDiagnosis:
    """Diagnose one point of an emotion run, finished or in progress.

    Args:
        folder: The run folder.
        point: Name of a measured point; None as for :func:`allophone.frontier.diagnosis.diagnose`.
        cost: One of the costs of emotion recognition.
        confidence: Probability from which something is sure, above 0.5; also the level of the intervals.
        margin: What counts as no gain or no loss, as a fraction.

    Raises:
        LedgerError: Not a run, or nothing measured.
        UsageError: ``decision.json`` is damaged, or it is a run of speech recognition.
        SpaceError: Unknown point or cost, an impossible confidence or margin.
    """
    folder, objective = Path(folder), find_cost(cost, "emotion")
    if not (isfinite(margin) and margin > 0):
        raise SpaceError(f"the margin is {margin}; it must be a positive number.")
    run = summarise_emotion(folder)
    frontier = Frontier.from_summary(run, cost, confidence)
    base, source = find_base(folder, run, point)
    found = examine(run, frontier, base, cost, margin, EMOTION_AXES)
    points = [summary.point for summary in run.points]
    trains_more = {other.name for other in run.points if other.trainable_params > run.points[base].trainable_params}
    return EmotionDiagnosis(
        run=run,
        base=run.points[base],
        base_source=source,
        cost=objective,
        confidence=confidence,
        margin=margin,
        axes=found.axes,
        binding=found.binding,
        wasted=found.wasted,
        next_step=choose_step(found.axes, found.binding),
        answers=answer_emotion_questions(found.axes, found.status, trains_more, confidence),
        duration=ask_duration(run.samples, points, base, found.resample, confidence, margin),
        depth=ask_depth(run.samples, points, found.resample, confidence),
        standing=found.standing,
        warnings=frontier.warnings,
    )
