"""The frontier of a run: which points are on it, dominated or tied, with the probability that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from allophone.errors import SpaceError
from allophone.files import json_text
from allophone.frontier.dominance import dominance_matrix
from allophone.frontier.noise_floor import noise_notes
from allophone.frontier.objectives import OBJECTIVES, QUALITY, Objective, find_cost
from allophone.frontier.probability import check_confidence
from allophone.frontier.summarise import summarise_run
from allophone.frontier.summary import PointSummary, RunSummary
from allophone.frontier.uncertainty import LEAST_SPEAKERS, LEAST_UTTERANCES, Status, assess_frontier, too_few
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.intervals import Interval, intervals
from allophone.records.names import title_of

__all__ = ["Frontier", "FrontierPoint"]

REPLICATES = 10_000


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One point with its verdict.

    Args:
        summary: Its counts and rates.
        intervals: An interval of every compared objective, by name.
        status: ``on`` the frontier, ``dominated`` (both with at least the frontier's confidence), ``tied`` where the
            measurements do not tell, ``unmeasured`` where an objective was not measured, ``too few`` where there are
            fewer than 5 speakers or 20 utterances.
        nondominated: Whether no point dominates it as measured, uncertainty left aside.
        p_on_frontier: Probability that no point dominates it; NaN where there is too little to say.
        dominated_by: The point likeliest to dominate it, or None where none does as measured.
        p_dominated: Probability that this one dominates it, all other comparisons considered; NaN likewise.
        dominated_by_estimates: Names of the points that dominate it as measured.
        tied_with: Names of the points that cannot be told from it.
    """

    summary: PointSummary
    intervals: dict[str, Interval]
    status: Status
    nondominated: bool
    p_on_frontier: float
    dominated_by: str | None
    p_dominated: float
    dominated_by_estimates: tuple[str, ...]
    tied_with: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the point and its verdict."""
        return f"FrontierPoint({self.title!r}, {self.status})"

    @property
    def name(self) -> str:
        """Id of the operating point."""
        return self.summary.name

    @property
    def title(self) -> str:
        """Name of the operating point for people."""
        return self.summary.title


@dataclass(frozen=True, slots=True)
class Frontier:
    """Points compared on quality and one or two costs, cheapest first.

    Args:
        run: The summarised run.
        quality: The quality objective.
        costs: The cost objectives; the first orders the points.
        points: Every point.
        confidence: Probability from which a verdict is given, and the level of the intervals.
        tie_groups: Names of points that cannot be told apart, the likeliest on the frontier first.
        warnings: What a reader of the intervals must know.
    """

    run: RunSummary
    quality: Objective
    costs: tuple[Objective, ...]
    points: tuple[FrontierPoint, ...]
    confidence: float
    tie_groups: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        """Show what is compared and how many points are on it."""
        costs = " and ".join(cost.name for cost in self.costs)
        told = f"{self.quality.name} against {costs}, {len(self.on)} of {len(self.points)} points on it"
        return f"{type(self).__name__}({told})"

    @classmethod
    def from_run(cls, folder: str | Path, cost: str | Sequence[str] = "rtf", confidence: float = 0.95) -> Frontier:
        """Read a run and find its frontier.

        Args:
            folder: The run folder.
            cost: One or two of :data:`allophone.frontier.objectives.COSTS`.
            confidence: Probability from which a verdict is given, above 0.5.

        Raises:
            LedgerError: Not a run, or nothing measured.
            SpaceError: Unknown cost, more than two, or an impossible confidence.
        """
        return cls.from_summary(summarise_run(Path(folder)), cost, confidence)

    @classmethod
    def from_summary(cls, run: RunSummary, cost: str | Sequence[str] = "rtf", confidence: float = 0.95) -> Frontier:
        """Find the frontier of a summarised run, with speakers resampled as blocks and all points paired."""
        costs = tuple(find_cost(name, run.task) for name in ([cost] if isinstance(cost, str) else cost))
        if not 1 <= len(costs) <= 2 or len(set(costs)) < len(costs):
            raise SpaceError(f"a frontier has one or two different costs, not {len(costs)}.")
        check_confidence(confidence)
        objectives = (OBJECTIVES[QUALITY[run.task]], *costs)
        resample = draw_blocks(run.samples.speakers, n_replicates=REPLICATES)
        resampled = [run.samples.resample(objective.name, resample) for objective in objectives]
        values = np.array([[getattr(point, item.name) for item in objectives] for point in run.points], dtype=float)
        few = too_few(resample)
        spread = resample.n_blocks > 1  # a single block shows none, and its widened replicates are undefined
        replicates = np.stack([item.inflated() if spread else item.values for item in resampled], axis=-1)
        floors = [run.samples.noise_floors.get(objective.name, 0.0) for objective in objectives]
        verdicts = assess_frontier(replicates, values, confidence, floors, resample if spread else None)
        ranges = [intervals(item, confidence) for item in resampled]
        measured: Sequence[PointSummary] = run.points
        names = [point.name for point in measured]
        beats = dominance_matrix(values)
        points = []
        for j, point in enumerate(measured):
            dominator = int(verdicts.dominator[j])
            points.append(
                FrontierPoint(
                    summary=point,
                    intervals={item.name: ranges[k][j] for k, item in enumerate(objectives)},
                    status="too few" if few and verdicts.status[j] != "unmeasured" else verdicts.status[j],
                    nondominated=bool(verdicts.frontier[j]),
                    p_on_frontier=nan if few else float(verdicts.p_on_frontier[j]),
                    dominated_by=names[dominator] if dominator >= 0 else None,
                    p_dominated=nan if few else float(verdicts.p_dominated_by[dominator, j]) if dominator >= 0 else 0.0,
                    dominated_by_estimates=tuple(names[i] for i in np.flatnonzero(beats[:, j])),
                    tied_with=() if few else tuple(names[i] for i in np.flatnonzero(verdicts.tied[j])),
                )
            )
        points.sort(key=lambda point: tuple(getattr(point.summary, item.name) for item in (costs[0], objectives[0])))
        groups = () if few else tuple(tuple(names[j] for j in group) for group in verdicts.tie_groups)
        return cls(
            run=run,
            quality=objectives[0],
            costs=costs,
            points=tuple(points),
            confidence=confidence,
            tie_groups=groups,
            warnings=_warnings(resample, resampled[0].concentrated, names, few=few),
        )

    @property
    def on(self) -> tuple[FrontierPoint, ...]:
        """The points that no other dominates as measured, cheapest first; their status says how sure that is."""
        return tuple(point for point in self.points if point.nondominated)

    def to_dict(self) -> dict[str, Any]:
        """Return the frontier as plain data: fractions, seconds, bytes."""
        record = self.run.run
        return {
            "schema_version": record.schema_version,
            "task": record.task,
            "corpus": record.corpus,
            "fingerprint": record.fingerprint,
            "quality": self.quality.name,
            "quality_name": record.quality_name,
            "relative_to": getattr(record, "relative_to", None),
            "transcripts_sha256": getattr(self.run, "transcripts_sha256", None),
            "normalizer": getattr(record, "normalizer", None),
            "costs": [cost.name for cost in self.costs],
            "confidence": self.confidence,
            "notices": [*self.run.notices, *self.warnings, *noise_notes(self.run.samples.noise, self.costs)],
            "noise_floors": self.run.samples.noise_floors,
            "failures": [{"utterance_id": name, "error": reason} for name, reason in self.run.failures],
            "eliminated": [asdict(item) for item in self.run.eliminated],
            "tie_groups": [list(group) for group in self.tie_groups],
            "points": [
                {
                    **asdict(point.summary),
                    **point.summary.derived,
                    "name": point.name,
                    "status": point.status,
                    "measured_on": point.nondominated,
                    "p_on_frontier": point.p_on_frontier,
                    "dominated_by": point.dominated_by,
                    "p_dominated": point.p_dominated,
                    "beaten_by": list(point.dominated_by_estimates),
                    "tied_with": list(point.tied_with),
                    "intervals": {name: [interval.low, interval.high] for name, interval in point.intervals.items()},
                    "point": point.summary.point.model_dump(),
                }
                for point in self.points
            ],
            "machine": record.machine.model_dump(),
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON; what the system did not tell is null."""
        return json_text(self.to_dict())


def _warnings(
    resample: Resample, concentrated: npt.NDArray[np.bool_], names: Sequence[str], *, few: bool
) -> tuple[str, ...]:
    warnings = [resample.warning] if resample.warning else []
    if few:
        warnings.append(
            f"Too few to say which points are better: verdicts need {LEAST_SPEAKERS} speakers and {LEAST_UTTERANCES} "
            "utterances."
        )
    if resample.blocked and (found := [name for name, one in zip(names, concentrated.tolist(), strict=True) if one]):
        who = title_of(found[0]) if len(found) == 1 else f"{len(found)} points"
        warnings.append(f"One speaker makes more than half of the errors of {who}: do not trust the intervals there.")
    return tuple(warnings)
