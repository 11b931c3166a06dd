"""The frontier of a run: the points that no other point beats, and who beats the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from allophone.frontier.dominance import dominance_matrix, frontier_mask
from allophone.frontier.objectives import Objective, find_cost, find_objective
from allophone.frontier.summary import PointSummary, RunSummary, summarise_run

__all__ = ["Frontier", "FrontierPoint"]


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One point with its verdict.

    Args:
        summary: Its counts and rates.
        status: ``on`` the frontier or ``dominated``.
        dominated_by: Names of the frontier points that are no worse in both objectives and better in one.
    """

    summary: PointSummary
    status: Literal["on", "dominated"]
    dominated_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the operating point."""
        return self.summary.name


@dataclass(frozen=True, slots=True)
class Frontier:
    """Points compared on quality and one cost, cheapest first.

    Args:
        run: The summarised run.
        quality: The quality objective.
        cost: The cost objective.
        points: Every point, in the order of its cost.
    """

    run: RunSummary
    quality: Objective
    cost: Objective
    points: tuple[FrontierPoint, ...]

    @classmethod
    def from_run(cls, folder: str | Path, cost: str = "rtf") -> Frontier:
        """Read a run and find its frontier.

        Args:
            folder: The run folder.
            cost: One of :data:`allophone.frontier.objectives.COSTS`.

        Raises:
            LedgerError: Not a run, or nothing measured.
            SpaceError: Unknown cost.
        """
        return cls.from_summary(summarise_run(Path(folder)), cost)

    @classmethod
    def from_summary(cls, run: RunSummary, cost: str = "rtf") -> Frontier:
        """Find the frontier of a summarised run."""
        objective, quality = find_cost(cost), find_objective("wer")
        values = np.array([[point.wer, getattr(point, objective.name)] for point in run.points], dtype=float)
        beats = dominance_matrix(values)
        on = frontier_mask(values)
        points = [
            FrontierPoint(
                summary=point,
                status="on" if on[index] else "dominated",
                dominated_by=tuple(
                    run.points[other].name for other in np.flatnonzero(beats[:, index] & on) if not on[index]
                ),
            )
            for index, point in enumerate(run.points)
        ]
        points.sort(key=lambda point: (getattr(point.summary, objective.name), point.summary.wer))
        return cls(run, quality, objective, tuple(points))

    @property
    def on(self) -> tuple[FrontierPoint, ...]:
        """The points on the frontier, cheapest first."""
        return tuple(point for point in self.points if point.status == "on")

    def to_dict(self) -> dict[str, Any]:
        """Return the frontier as plain data: fractions, seconds, bytes."""
        record = self.run.run
        return {
            "schema_version": record.schema_version,
            "corpus": record.corpus,
            "fingerprint": record.fingerprint,
            "quality": self.quality.name,
            "quality_name": record.quality_name,
            "relative_to": record.relative_to,
            "normalizer": record.normalizer,
            "cost": self.cost.name,
            "notices": list(self.run.notices),
            "failures": [{"utterance_id": name, "error": reason} for name, reason in self.run.failures],
            "points": [
                {
                    "name": point.name,
                    "status": point.status,
                    "dominated_by": list(point.dominated_by),
                    **asdict(point.summary),
                    "point": point.summary.point.model_dump(),
                }
                for point in self.points
            ],
            "machine": record.machine.model_dump(),
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON; what the system did not tell is null."""
        return json.dumps(_finite(self.to_dict()), indent=1, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
