"""Everything that a run says about one of its points: what binds, what is wasted, what to do next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from allophone.diagnosis.emotion import diagnose_emotion
from allophone.diagnosis.point import MARGIN, PointDiagnosis
from allophone.diagnosis.recognition import diagnose_recognition
from allophone.frontier.summarise import summarise_run
from allophone.records.point import Task

__all__ = ["diagnose"]

_TASKS: dict[Task, Callable[[Path, Any, str | None, str, float, float], PointDiagnosis]] = {
    "asr": diagnose_recognition,
    "emotion": diagnose_emotion,
}


def diagnose(
    folder: str | Path,
    point: str | None = None,
    cost: str = "executed_gflops",
    confidence: float = 0.95,
    margin: float = MARGIN,
) -> PointDiagnosis:
    """Diagnose one point of a run, finished or in progress.

    Args:
        folder: The run folder.
        point: Name of a measured point. Where None: the recommended one, where ``decision.json`` names one that is
            measured, else the first of the plan, which is the centre of a star.
        cost: One of :data:`allophone.frontier.objectives.COSTS`.
        confidence: Probability from which something is sure, above 0.5; also the level of the intervals.
        margin: What counts as no gain or no loss, as a fraction.

    Returns:
        The task's own diagnosis: :class:`allophone.diagnosis.recognition.RecognitionDiagnosis` with the kinds of error,
        or :class:`allophone.diagnosis.emotion.EmotionDiagnosis` with durations, depth and rank.

    Raises:
        LedgerError: Not a run, or nothing measured.
        UsageError: ``decision.json`` is damaged.
        SpaceError: Unknown point or cost, a cost that was not measured, an impossible confidence or margin.
    """
    folder = Path(folder)
    run = summarise_run(folder)
    return _TASKS[run.task](folder, run, point, cost, confidence, margin)
