"""Everything that an emotion run says about one of its points: what binds, what is wasted, what to do next."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from allophone.diagnosis.advice import Answer, answer_emotion_questions
from allophone.diagnosis.axes import EMOTION_AXES
from allophone.diagnosis.emotion_questions import DepthPair, DurationAnswer, ask_depth, ask_duration
from allophone.diagnosis.point import MARGIN, Examination, examine
from allophone.frontier.emotion_summary import EmotionPointSummary, EmotionRunSummary, summarise_emotion

__all__ = ["EmotionDiagnosis", "diagnose_emotion"]


@dataclass(frozen=True, slots=True)
class EmotionDiagnosis(Examination):
    """Everything about one point of an emotion run; changes are of one minus the UAR, so that lower is better.

    Adapters and unfrozen layers cost nothing at inference, so that under a cost of inference a better one is free;
    ``training_gflops`` and ``trainable_params`` price them.

    Args:
        answers: On capacity, adaptation and domination.
        duration: Whether there is a best duration; None with fewer than three.
        depth: Depth against rank; empty where no pair is measured.
    """

    run: EmotionRunSummary
    base: EmotionPointSummary
    answers: tuple[Answer, ...]
    duration: DurationAnswer | None
    depth: tuple[DepthPair, ...]

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
        point: Name of a measured point; None as for :func:`allophone.diagnosis.recognition.diagnose`.
        cost: One of the costs of emotion recognition.
        confidence: Probability from which something is sure, above 0.5; also the level of the intervals.
        margin: What counts as no gain or no loss, as a fraction.

    Raises:
        LedgerError: Not a run, or nothing measured.
        UsageError: ``decision.json`` is damaged, or it is a run of speech recognition.
        SpaceError: Unknown point or cost, an impossible confidence or margin.
    """
    folder = Path(folder)
    run = summarise_emotion(folder)
    found = examine(folder, run, point, cost, confidence, margin, EMOTION_AXES)
    points = [summary.point for summary in run.points]
    base = [summary.name for summary in run.points].index(found.base.name)
    trains_more = {other.name for other in run.points if other.trainable_params > run.points[base].trainable_params}
    return EmotionDiagnosis(
        **{field.name: getattr(found, field.name) for field in fields(found)},
        answers=answer_emotion_questions(found.axes, found.status, trains_more, confidence),
        duration=ask_duration(run.samples, points, base, found.resample, confidence, margin),
        depth=ask_depth(run.samples, points, found.resample, confidence),
    )
