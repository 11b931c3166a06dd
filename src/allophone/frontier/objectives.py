"""The quantities that points are compared on; all are better when lower."""

from __future__ import annotations

from dataclasses import dataclass

from allophone.errors import SpaceError

__all__ = ["COSTS", "OBJECTIVES", "Objective", "find_cost", "find_objective"]


@dataclass(frozen=True, slots=True)
class Objective:
    """One column of a point's summary.

    Args:
        name: Attribute of :class:`allophone.frontier.summary.PointSummary`; fractions, seconds, bytes or GFLOPs.
        title: What people read.
        unit: Unit behind a shown value.
        scale: A value is multiplied by this before it is shown (100 for percent).
        decimals: Digits shown behind the point.
    """

    name: str
    title: str
    unit: str = ""
    scale: float = 1.0
    decimals: int = 3

    def show(self, value: float) -> str:
        """Return a value as people read it, with its unit."""
        shown = f"{value * self.scale:.{self.decimals}f}"
        return f"{shown} {self.unit}" if self.unit else shown


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("wer", "word error rate", "%", 100.0, 2),
        Objective("rtf", "real-time factor"),
        Objective("latency_p50_s", "median latency", "s"),
        Objective("latency_p95_s", "95th percentile of latency", "s"),
        Objective("executed_gflops", "compute an utterance", "GFLOPs", 1.0, 1),
        Objective("published_gflops", "published compute an utterance", "GFLOPs", 1.0, 1),
        Objective("peak_memory_bytes", "peak resident memory", "MB", 1e-6, 0),
    )
}
COSTS: tuple[str, ...] = tuple(name for name in OBJECTIVES if name != "wer")


def find_objective(name: str) -> Objective:
    """Return the objective of that name.

    Raises:
        SpaceError: Unknown name; the message lists the known ones.
    """
    if name not in OBJECTIVES:
        raise SpaceError(f"unknown objective '{name}'; known: {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]


def find_cost(name: str) -> Objective:
    """Return the cost of that name: any objective but quality.

    Raises:
        SpaceError: Unknown name; the message lists the known ones.
    """
    if name not in COSTS:
        raise SpaceError(f"unknown cost '{name}'; known costs: {', '.join(COSTS)}.")
    return OBJECTIVES[name]
