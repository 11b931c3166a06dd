"""Diagnosis of a recognition run at one point: what binds, what is wasted, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

from allophone.diagnosis.advice import answer_questions
from allophone.diagnosis.axes import AXES
from allophone.diagnosis.axis_verdict import AxisDiagnosis
from allophone.diagnosis.elasticity import AxisChange
from allophone.diagnosis.point import PointDiagnosis, diagnose_point
from allophone.frontier.recognition import RecognitionPointSummary, RecognitionRunSummary
from allophone.ledger.readers import connect
from allophone.measure.error_breakdown import (
    ErrorBreakdown,
    ErrorKind,
    UtteranceErrors,
    break_down_errors,
    sum_breakdowns,
)
from allophone.measure.wer import Normalizer

__all__ = ["Contrast", "RecognitionDiagnosis", "diagnose_recognition"]

_TEXTS = """
SELECT point, utterance_id, reference, hypothesis, compression_ratio, truncated_windows, speaker, snr_db
FROM measurements WHERE error IS NULL AND list_contains(?, point) ORDER BY utterance_index
"""


@dataclass(frozen=True, slots=True)
class Contrast:
    """How the errors of a neighbour differ from the base point's.

    Args:
        move: To the neighbour on its side of the axis, cheaper or not, whose number of errors differs most.
        kind: The kind of error that they differ most in; None where both make equally many errors.
    """

    move: AxisChange
    kind: ErrorKind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionDiagnosis(PointDiagnosis):
    """Everything about one operating point of a run; the margin is a fraction of the reference words.

    Args:
        anatomy: Errors of the base point and of its neighbours on every axis, by point name.
        contrasts: One or two neighbours of every measured axis, their errors compared with the base point's.
    """

    run: RecognitionRunSummary
    base: RecognitionPointSummary
    anatomy: dict[str, ErrorBreakdown]
    contrasts: tuple[Contrast, ...]


def diagnose_recognition(
    folder: Path, run: RecognitionRunSummary, point: str | None, cost: str, confidence: float, margin: float
) -> RecognitionDiagnosis:
    """Diagnose one operating point of a run of speech recognition; see :func:`allophone.diagnosis.diagnose.diagnose`.

    Args:
        folder: The run folder.
        run: The same, summarised.
        point: Name of a measured point, or None.
        cost: Name of what is spent.
        confidence: Probability from which something is sure.
        margin: What counts as no gain or no loss, as a fraction of the reference words.
    """
    found = diagnose_point(folder, run, point, cost, confidence, margin, AXES)
    neighbours = [move.target for axis in found.axes for move in axis.moves]
    anatomy = _breakdowns(folder, run, [found.standing.name, *neighbours])
    common = {field.name: getattr(found, field.name) for field in fields(found)}
    return RecognitionDiagnosis(
        **common | {"answers": answer_questions(found.axes, found.status)},
        anatomy=anatomy,
        contrasts=tuple(_contrasts(found.axes, anatomy, found.standing.name)),
    )


def _contrasts(axes: Sequence[AxisDiagnosis], anatomy: Mapping[str, ErrorBreakdown], base: str) -> Iterator[Contrast]:
    here = anatomy[base]
    for axis in axes:
        sides = ([move for move in axis.moves if (move.order == "cheaper") == cheaper] for cheaper in (True, False))
        for moves in sides:
            if moves:
                farthest = max(moves, key=lambda move: abs(anatomy[move.target].total - here.total))
                yield Contrast(farthest, here.differs_in(anatomy[farthest.target]))


def _breakdowns(folder: Path, run: RecognitionRunSummary, names: list[str]) -> dict[str, ErrorBreakdown]:
    """Dissect the errors of some points on the utterances that all points share."""
    shared = set(run.samples.utterances)
    normalizer = cast(Normalizer, run.run.normalizer)
    dissected: dict[str, list[UtteranceErrors]] = {name: [] for name in names}
    with connect(folder) as connection:
        rows = connection.execute(_TEXTS, [names]).fetchall()
    for point, utterance, reference, hypothesis, ratio, truncated, speaker, snr_db in rows:
        if utterance in shared:
            dissected[point].append(
                break_down_errors(
                    reference,
                    hypothesis,
                    normalizer=normalizer,
                    compression_ratio=ratio,
                    truncated=truncated > 0,
                    speaker=speaker,
                    snr_db=snr_db,
                )
            )
    return {name: sum_breakdowns(utterances) for name, utterances in dissected.items()}
