"""Everything that a run says about one of its operating points: what binds, what is wasted, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import cast

from allophone.errors import SpaceError
from allophone.frontier.axes import AXES
from allophone.frontier.axis_verdict import AxisDiagnosis
from allophone.frontier.elasticity import Move
from allophone.frontier.examination import BaseSource, examine, find_base
from allophone.frontier.objectives import Objective, find_cost
from allophone.frontier.pareto import Frontier, FrontierPoint
from allophone.frontier.purchases import Answer, Binding, NextStep, answer_questions, choose_step
from allophone.frontier.summary import PointSummary, RunSummary, summarise_run
from allophone.ledger.readers import connect
from allophone.measure.anatomy import Anatomy, ErrorKind, UtteranceAnatomy, dissect, sum_anatomies
from allophone.measure.wer import Normalizer

__all__ = ["MARGIN", "Contrast", "Diagnosis", "diagnose"]

MARGIN = 0.005  # half a point of error rate: what counts as no gain or no loss
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

    move: Move
    kind: ErrorKind | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything about one operating point of a run.

    Args:
        run: The summarised run.
        base: The point diagnosed.
        base_source: Why this one: asked for, recommended in ``decision.json``, or the centre of the plan.
        cost: What is spent.
        confidence: Probability from which something is sure.
        margin: What counts as no gain or no loss, as a fraction of the reference words.
        axes: One per axis.
        binding: The binding axis, or None where no purchase surely pays.
        wasted: Names of the wasted axes.
        next_step: What to do next.
        answers: To the operator's five questions, in order.
        standing: The base point's place relative to the frontier.
        anatomy: Errors of the base point and of its neighbours on every axis, by point name.
        contrasts: One or two neighbours of every measured axis, their errors compared with the base point's.
        warnings: What a reader must know.
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
    answers: tuple[Answer, ...]
    standing: FrontierPoint
    anatomy: dict[str, Anatomy]
    contrasts: tuple[Contrast, ...]
    warnings: tuple[str, ...]

    @property
    def faultless(self) -> bool:
        """Whether the base point makes no error at all."""
        return self.base.wer == 0


def diagnose(
    folder: str | Path,
    point: str | None = None,
    cost: str = "executed_gflops",
    confidence: float = 0.95,
    margin: float = MARGIN,
) -> Diagnosis:
    """Diagnose one operating point of a run, finished or in progress.

    Args:
        folder: The run folder.
        point: Name of a measured point. Where None: the recommended one, where ``decision.json`` names one that is
            measured, else the first of the plan, which is the centre of a star.
        cost: One of :data:`allophone.frontier.objectives.COSTS`.
        confidence: Probability from which something is sure, above 0.5; also the level of the intervals.
        margin: What counts as no gain or no loss, as a fraction of the reference words.

    Raises:
        LedgerError: Not a run, or nothing measured.
        UsageError: ``decision.json`` is damaged.
        SpaceError: Unknown point or cost, a cost that was not measured, an impossible confidence or margin.
    """
    folder, objective = Path(folder), find_cost(cost)
    if not (isfinite(margin) and margin > 0):
        raise SpaceError(f"the margin is {margin}; it must be a positive number.")
    run = summarise_run(folder)
    frontier = Frontier.from_summary(run, cost, confidence)
    base, source = find_base(folder, run, point)
    if not isfinite(getattr(run.points[base], cost)):
        raise SpaceError(f"{cost} was not measured at {run.points[base].name}; choose another --cost.")
    found = examine(run, frontier, base, cost, margin, AXES)
    axes, standing = found.axes, found.standing
    anatomy = _anatomies(folder, run, [standing.name, *(move.target for axis in axes for move in axis.moves)])
    return Diagnosis(
        run=run,
        base=run.points[base],
        base_source=source,
        cost=objective,
        confidence=confidence,
        margin=margin,
        axes=axes,
        binding=found.binding,
        wasted=found.wasted,
        next_step=choose_step(axes, found.binding),
        answers=answer_questions(axes, found.status),
        standing=standing,
        anatomy=anatomy,
        contrasts=tuple(_contrasts(axes, anatomy, standing.name)),
        warnings=frontier.warnings,
    )


def _contrasts(axes: Sequence[AxisDiagnosis], anatomy: Mapping[str, Anatomy], base: str) -> Iterator[Contrast]:
    here = anatomy[base]
    for axis in axes:
        sides = ([move for move in axis.moves if (move.order == "cheaper") == cheaper] for cheaper in (True, False))
        for moves in sides:
            if moves:
                farthest = max(moves, key=lambda move: abs(anatomy[move.target].total - here.total))
                yield Contrast(farthest, here.differs_in(anatomy[farthest.target]))


def _anatomies(folder: Path, run: RunSummary, names: list[str]) -> dict[str, Anatomy]:
    """Dissect the errors of some points on the utterances that all points share."""
    shared = set(run.samples.utterances)
    normalizer = cast(Normalizer, run.run.normalizer)
    dissected: dict[str, list[UtteranceAnatomy]] = {name: [] for name in names}
    with connect(folder) as connection:
        rows = connection.execute(_TEXTS, [names]).fetchall()
    for point, utterance, reference, hypothesis, ratio, truncated, speaker, snr_db in rows:
        if utterance in shared:
            dissected[point].append(
                dissect(
                    reference,
                    hypothesis,
                    normalizer=normalizer,
                    compression_ratio=ratio,
                    truncated=truncated > 0,
                    speaker=speaker,
                    snr_db=snr_db,
                )
            )
    return {name: sum_anatomies(utterances) for name, utterances in dissected.items()}
