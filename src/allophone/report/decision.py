"""The recommendation as it is saved: ``decision.json`` in the run, and the point file that ``transcribe`` runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from allophone.files import write_whole
from allophone.frontier.objectives import OBJECTIVES
from allophone.frontier.recommend import recommend
from allophone.frontier.summary import RunSummary, summarise_run
from allophone.point_file import DECISION_FILE, PointFile
from allophone.routing.as_points import add_policies

__all__ = ["decide", "save_decision"]


def decide(
    run: Path | RunSummary,
    constraints: Mapping[str, float],
    minimise: str | None = None,
    confidence: float | None = None,
    policies: Sequence[Path] = (),
) -> PointFile:
    """Answer a question about a run; see :func:`allophone.frontier.recommend.recommend`.

    Args:
        run: The run, or its summary, to which policies may have been added already.
        constraints: Limits by objective name, in base units.
        minimise: Objective name.
        confidence: Probability with which the limits must hold.
        policies: Folders of policies that compete with the run's points.

    Raises:
        SpaceError: The question is impossible as put.
        LedgerError: Not a run, or nothing measured.
        InfeasibleError: No point meets the constraints.
    """
    summary = summarise_run(run) if isinstance(run, Path) else run
    if policies and isinstance(run, Path):
        summary = add_policies(summary, run, policies)
    folders = {folder.resolve().name: str(folder) for folder in policies}
    answer = recommend(summary, constraints, minimise, confidence)
    record = summary.run
    measured = {name: float(getattr(answer.chosen, name)) for name in OBJECTIVES}
    return PointFile(
        point=answer.chosen.point,
        policy=folders.get(answer.chosen.name),
        language=record.language,
        question=answer.question,
        explanation=[*answer.explain(), *summary.notices],
        quality_name=record.quality_name,
        confidence=answer.confidence,
        probability=answer.probability,
        measured={name: value if isfinite(value) else None for name, value in measured.items()},
        corpus=record.corpus,
        fingerprint=record.fingerprint,
        processor=record.machine.processor,
    )


def save_decision(run: Path, decision: PointFile, out: Path | None = None) -> None:
    """Write ``decision.json`` into the run, and the same to ``out`` where given.

    Raises:
        LedgerError: A folder cannot be written.
    """
    text = decision.model_dump_json(indent=1) + "\n"
    write_whole(run / DECISION_FILE, text)
    if out is not None:
        write_whole(out, text)
