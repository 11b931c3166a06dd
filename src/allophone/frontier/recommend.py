"""From a wish to an operating point: constraints, what to minimise, what binds, and what misses by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan

from allophone.errors import InfeasibleError, SpaceError
from allophone.frontier.objectives import OBJECTIVES, find_objective
from allophone.frontier.summary import PointSummary, RunSummary

__all__ = ["Recommendation", "recommend"]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to one question.

    Args:
        question: The question in words.
        chosen: The recommended point.
        minimised: Name of the objective that it is lowest in.
        constraints: Limits by objective name, in base units.
        feasible: How many points meet all of them.
        binding: The constraint that, dropped alone, would allow the greatest gain in the minimised objective; None
            where dropping any one changes nothing.
        without_binding: The point that would then be chosen.
    """

    question: str
    chosen: PointSummary
    minimised: str
    constraints: Mapping[str, float]
    feasible: int
    binding: str | None
    without_binding: PointSummary | None

    def explain(self) -> list[str]:
        """Return the answer in sentences."""
        objective = OBJECTIVES[self.minimised]
        met = ", ".join(_stated(self.chosen, name, limit) for name, limit in self.constraints.items())
        lines = [
            f"{self.chosen.name}: {objective.title} {objective.show(getattr(self.chosen, self.minimised))}"
            + (f"; {met}." if met else ".")
        ]
        if self.binding is not None and self.without_binding is not None:
            gain = objective.show(getattr(self.without_binding, self.minimised))
            limit = OBJECTIVES[self.binding].title
            lines.append(f"The limit on {limit} binds: without it {self.without_binding.name} would give {gain}.")
        elif self.constraints:
            lines.append("No constraint binds: dropping any one of them would not change the answer.")
        return lines


def recommend(
    run: RunSummary | Sequence[PointSummary],
    constraints: Mapping[str, float] | None = None,
    minimise: str | None = None,
) -> Recommendation:
    """Choose the point that is lowest in one objective among those that meet every constraint.

    Ties go to the lower word error rate, then the lower latency, then fewer FLOPs.

    Args:
        run: A summarised run, or its points.
        constraints: Largest allowed value by objective name, in base units (``{"wer": 0.12, "rtf": 0.1}``).
        minimise: Objective name. Where None: the word error rate, or the processing time if the word error rate is
            constrained.

    Raises:
        SpaceError: Unknown objective, or a limit that is not a positive number.
        InfeasibleError: No point meets the constraints; the message names the nearest one and what it misses by.
    """
    points = run.points if isinstance(run, RunSummary) else tuple(run)
    limits = dict(constraints or {})
    for name, limit in limits.items():
        find_objective(name)
        if not isfinite(limit) or limit <= 0:
            raise SpaceError(f"the limit on {name} is {limit}; it must be a positive number.")
    minimised = minimise or ("rtf" if "wer" in limits else "wer")
    objective = find_objective(minimised)
    feasible = _feasible(points, limits)
    question = f"Which operating point has the lowest {objective.title}"
    if limits:
        question += " with " + " and ".join(
            f"{OBJECTIVES[name].title} at most {OBJECTIVES[name].show(limit)}" for name, limit in limits.items()
        )
    question += "?"
    if not feasible:
        raise InfeasibleError(f"{question} None: {_nearest_miss(points, limits)}")
    chosen = _lowest(feasible, minimised)
    binding, without = _binding(points, limits, minimised, chosen)
    return Recommendation(question, chosen, minimised, limits, len(feasible), binding, without)


def _feasible(points: Sequence[PointSummary], limits: Mapping[str, float]) -> list[PointSummary]:
    # NaN (not measured) compares false, so an unmeasured objective never meets a limit.
    return [point for point in points if all(getattr(point, name) <= limit for name, limit in limits.items())]


def _lowest(points: Sequence[PointSummary], minimised: str) -> PointSummary:
    def key(point: PointSummary) -> tuple[float, ...]:
        values = (getattr(point, minimised), point.wer, point.rtf, point.executed_gflops)
        return tuple(inf if isnan(value) else value for value in values)  # NaN last

    return min(points, key=key)


def _binding(
    points: Sequence[PointSummary], limits: Mapping[str, float], minimised: str, chosen: PointSummary
) -> tuple[str | None, PointSummary | None]:
    best: tuple[str | None, PointSummary | None] = (None, None)
    lowest = getattr(chosen, minimised)
    for name in limits:
        freed = _lowest(_feasible(points, {other: limits[other] for other in limits if other != name}), minimised)
        if getattr(freed, minimised) < lowest:
            lowest = getattr(freed, minimised)
            best = (name, freed)
    return best


def _nearest_miss(points: Sequence[PointSummary], limits: Mapping[str, float]) -> str:
    def worst_excess(point: PointSummary) -> float:
        excesses = [getattr(point, name) / limit - 1 for name, limit in limits.items()]
        return max(inf if isnan(excess) else excess for excess in excesses)

    nearest = min(points, key=worst_excess)
    missed = [
        f"{OBJECTIVES[name].title} {OBJECTIVES[name].show(getattr(nearest, name))} "
        f"misses {OBJECTIVES[name].show(limit)} by {100 * (getattr(nearest, name) / limit - 1):.0f} %"
        for name, limit in limits.items()
        if not getattr(nearest, name) <= limit
    ]
    return f"{nearest.name} comes nearest; its {'; its '.join(missed)}."


def _stated(point: PointSummary, name: str, limit: float) -> str:
    objective = OBJECTIVES[name]
    return f"{objective.title} {objective.show(getattr(point, name))} (limit {objective.show(limit)})"
