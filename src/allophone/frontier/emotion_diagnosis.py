"""Everything that an emotion run says about one of its points: what binds, what is wasted, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from allophone.errors import SpaceError
from allophone.frontier.axes import EMOTION_AXES
from allophone.frontier.axis_verdict import AxisDiagnosis, judge_axis
from allophone.frontier.diagnosis import MARGIN, BaseSource, find_base
from allophone.frontier.elasticity import FEW_UTTERANCES, Changes
from allophone.frontier.emotion_questions import DepthPair, DurationAnswer, ask_depth, ask_duration
from allophone.frontier.emotion_summary import EmotionPointSummary, EmotionRunSummary, summarise_emotion
from allophone.frontier.objectives import Objective, find_cost
from allophone.frontier.pareto import REPLICATES, Frontier, FrontierPoint
from allophone.frontier.purchases import Answer, Binding, NextStep, answer_emotion_questions, choose_step, find_binding
from allophone.measure.blocks import draw_blocks

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
    resample = draw_blocks(run.samples.speakers, n_replicates=REPLICATES)
    changes = Changes(run.samples, cost, resample, confidence, margin)
    enough = len(run.samples.utterances) >= FEW_UTTERANCES and resample.n_blocks > 1
    points = [summary.point for summary in run.points]
    axes = tuple(judge_axis(axis, points, base, changes, enough=enough) for axis in EMOTION_AXES)
    binding = find_binding(axes, [summary.name for summary in run.points], base, changes)
    trains_more = {other.name for other in run.points if other.trainable_params > run.points[base].trainable_params}
    standing = next(item for item in frontier.points if item.name == run.points[base].name)
    return EmotionDiagnosis(
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
        answers=answer_emotion_questions(axes, standing.status if enough else "tied", trains_more, confidence),
        duration=ask_duration(run.samples, points, base, resample, confidence, margin),
        depth=ask_depth(run.samples, points, resample, confidence),
        standing=standing,
        warnings=frontier.warnings,
    )
