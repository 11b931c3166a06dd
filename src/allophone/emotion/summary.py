"""What a run says about its test speakers: rates under their own names, intervals, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from pydantic import BaseModel, ConfigDict

from allophone.emotion.record import EmotionRow, recognition_of
from allophone.errors import UsageError
from allophone.measure.emotion import uar_interval
from allophone.measure.temperature import calibration_error

__all__ = ["EmotionSummary", "summarise_rows"]


class EmotionSummary(BaseModel):
    """Rates on test speakers, as fractions.

    ``uar_low`` and ``uar_high`` are the ends of a 95 % interval with speakers drawn as blocks. ``recalls`` holds None
    for a label without a test utterance, which ``uar`` leaves out. ``confusion[i][j]`` counts references ``i`` taken
    for ``j``. ``calibration_error`` is the expected calibration error of the confidences.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...]
    n_utterances: int
    n_speakers: int
    failures: int
    uar: float
    uar_low: float
    uar_high: float
    wa: float
    macro_f1: float
    recalls: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: float
    warning: str | None


def summarise_rows(rows: Sequence[EmotionRow], labels: Sequence[str]) -> EmotionSummary:
    """Summarise test rows; of several folds or seeds too, where each row is one decision.

    Args:
        rows: From :func:`allophone.emotion.experiment.run_setting`.
        labels: Classes in the order of the posteriors.

    Raises:
        UsageError: No row is without an error.
    """
    used = [row for row in rows if row.error is None]
    if not used:
        raise UsageError("no test utterance could be used, so nothing can be said about the recogniser.")
    recognition = recognition_of(used, labels)
    references = [labels.index(row.label) for row in used]
    decisions = [max(range(len(labels)), key=row.posterior.__getitem__) for row in used]
    speakers = [row.speaker for row in used]
    interval, warning = uar_interval(references, decisions, speakers)
    return EmotionSummary(
        labels=tuple(labels),
        n_utterances=len(used),
        n_speakers=len(set(speakers)),
        failures=len(rows) - len(used),
        uar=recognition.uar,
        uar_low=interval.low,
        uar_high=interval.high,
        wa=recognition.wa,
        macro_f1=recognition.macro_f1,
        recalls=tuple(None if isnan(recall) else recall for recall in recognition.recalls.tolist()),
        confusion=tuple(tuple(line) for line in recognition.confusion.tolist()),
        calibration_error=calibration_error([max(row.posterior) for row in used], [row.correct for row in used]),
        warning=warning,
    )
