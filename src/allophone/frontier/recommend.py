"""Recommendation of an operating point: constraints, what to minimise, what binds, what misses by how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, isnan
from pathlib import Path

from allophone.errors import InfeasibleError, SpaceError
from allophone.frontier.confidence import POWER, Tie, draw_replicates, find_ties, judge_limits, more_speakers
from allophone.frontier.objectives import OBJECTIVES, QUALITY, find_objective
from allophone.frontier.pareto import Frontier
from allophone.frontier.probability import check_confidence
from allophone.frontier.relaxation import points_within, ways_out
from allophone.frontier.summarise import summarise_run
from allophone.frontier.summary import PointSummary, RunSummary
from allophone.measure.blocks import Resample

__all__ = ["Recommendation", "recommend"]

_ROUNDING = 1e-9
_MOST_SPEAKERS = 100_000  # nobody records more to settle a choice


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to one question.

    Args:
        question: The question in words.
        chosen: The recommended point.
        minimised: Name of the objective that it is lowest in, or for people highest in, as the UAR.
        constraints: Limits by objective name, in base units.
        feasible: How many points meet all of them.
        binding: The constraint that, dropped alone, would allow the greatest gain in the minimised objective; None
            where dropping any one changes nothing.
        without_binding: The point that would then be chosen.
        confidence: Probability with which the constraints had to be met, or None where they were taken as measured.
        probability: Greatest confidence at which the chosen point would have been let through: the probability that it
            meets all constraints over speakers like those heard, the choice among all points included; None likewise.
        ties: Points that also meet them so surely and that cannot be told from the chosen one in the minimised
            objective, the nearest first.
        warnings: What a reader of the probabilities must know.
        titles: What the run's objectives are called, by name.
    """

    question: str
    chosen: PointSummary
    minimised: str
    constraints: Mapping[str, float]
    feasible: int
    binding: str | None
    without_binding: PointSummary | None
    confidence: float | None = None
    probability: float | None = None
    ties: tuple[Tie, ...] = ()
    warnings: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(
        default_factory=lambda: {name: objective.title for name, objective in OBJECTIVES.items()}
    )

    def __repr__(self) -> str:
        """Show the chosen point and its value in what was minimised."""
        objective = OBJECTIVES[self.minimised]
        value = objective.show(getattr(self.chosen, self.minimised))
        return f"Recommendation({self.chosen.title!r}, {self.minimised} {value}, {self.feasible} feasible)"

    def explain(self) -> list[str]:
        """Return the answer in sentences."""
        objective = OBJECTIVES[self.minimised]
        met = ", ".join(_stated(self.chosen, name, limit, self.titles) for name, limit in self.constraints.items())
        lines = [
            f"{self.chosen.title}: {self.titles[self.minimised]} {objective.show(getattr(self.chosen, self.minimised))}"
            + (f"; {met}." if met else ".")
        ]
        if self.binding is not None and self.without_binding is not None:
            gain = objective.show(getattr(self.without_binding, self.minimised))
            limit = self.titles[self.binding]
            lines.append(f"The limit on {limit} binds: without it {self.without_binding.title} would give {gain}.")
        elif self.constraints:
            lines.append("No constraint binds: dropping any one of them would not change the answer.")
        if self.confidence is not None and self.probability is not None:
            if self.constraints:
                lines.append(
                    f"Over all speakers like these it meets all limits with probability {self.probability:.3f} "
                    f"({self.confidence:g} asked), the choice among all points included."
                )
            lines += self._explain_ties(self.confidence)
        return [*lines, *self.warnings]

    def _explain_ties(self, confidence: float) -> list[str]:
        objective = OBJECTIVES[self.minimised]
        if not self.ties:
            return [f"No other point that could be chosen is tied with it in {self.titles[self.minimised]}."]
        nearest = self.ties[0]
        names = "; ".join(tie.point.title for tie in self.ties)
        lines = [
            f"Tied with it in {self.titles[self.minimised]}, the paired difference's {100 * confidence:g} % interval "
            f"including zero: {names}."
        ]
        if not isfinite(nearest.more_utterances):
            return [*lines, f"{nearest.point.title} is equal to it as measured: no number of utterances would decide."]
        apart = objective.show_apart(nearest.difference.estimate)
        between = f"between it and {nearest.point.title} ({apart} apart)"
        if nearest.more_transcripts == inf:
            return [*lines, f"Transcripts of the other recordings would not decide {between}: it takes more speakers."]
        if nearest.more_transcripts is not None:
            needed = f"{nearest.more_transcripts:.0f} more transcripts"
        else:
            speakers = "" if nearest.more_speakers is None else f" from about {nearest.more_speakers:.0f} more speakers"
            needed = f"{nearest.more_utterances:.0f} more utterances{speakers}"
        lines.append(f"To decide {between} takes about {needed}, if the difference is as observed (power {POWER:g}).")
        return lines


def recommend(
    run: str | Path | Frontier | RunSummary | Sequence[PointSummary],
    constraints: Mapping[str, float] | None = None,
    minimise: str | None = None,
    confidence: float | None = None,
) -> Recommendation:
    """Choose the point that is lowest in one objective among those that meet every constraint.

    Ties go to the lower word error rate, then the lower latency, then fewer FLOPs. With a confidence, the constraints
    are tested at all points together (:func:`allophone.guarantee.limits.keep_limits`): with that probability no point
    that passes breaks a constraint over speakers like those heard, so neither does the one that is chosen.

    Args:
        run: A run folder, a frontier, a summarised run, or its points.
        constraints: Largest allowed value by objective name, in base units (``{"wer": 0.12, "rtf": 0.1}``).
        minimise: Objective name. Where None: quality (the word error rate, of emotion runs one minus the UAR), or the
            processing time if quality is constrained.
        confidence: Probability with which all constraints must hold, above 0.5; None takes points as measured.

    Raises:
        SpaceError: Unknown objective, a limit that is not a positive number, an impossible confidence, or a confidence
            where there are only points, or one utterance.
        InfeasibleError: No point meets the constraints; the message names the nearest one and what it misses by, or
            with what probability it meets them. With a confidence and constraints: fewer than 8 speakers.
    """
    check_confidence(confidence)
    if isinstance(run, str | Path):
        run = summarise_run(Path(run))
    elif isinstance(run, Frontier):
        run = run.run
    points = run.points if isinstance(run, RunSummary) else tuple(run)
    task = points[0].task if points else "asr"
    limits = {find_objective(name, task).name: limit for name, limit in (constraints or {}).items()}
    for name, limit in limits.items():
        if not isfinite(limit) or limit <= 0:
            raise SpaceError(f"the limit on {name} is {limit}; it must be a positive number.")
    objective = find_objective(minimise or ("rtf" if QUALITY[task] in limits else QUALITY[task]), task)
    minimised = objective.name
    titles = _titles(run)
    question = f"Which operating point has the {objective.best} {titles[minimised]}"
    if limits:
        question += " with " + " and ".join(
            f"{titles[name]} {OBJECTIVES[name].limit} {OBJECTIVES[name].show(limit)}" for name, limit in limits.items()
        )
    if confidence is not None and limits:
        question += f", met with probability {confidence:g}"
    question += "?"
    feasible = points_within(points, limits)
    if not feasible:
        summary = run if isinstance(run, RunSummary) else None
        told = [_nearest_miss(points, limits, titles), *ways_out(summary, points, limits, titles)]
        raise InfeasibleError(f"{question} None: {' '.join(told)}")
    if confidence is None:
        chosen = _lowest(feasible, minimised)
        binding, without = _binding(points, limits, minimised, chosen)
        return Recommendation(question, chosen, minimised, limits, len(feasible), binding, without, titles=titles)
    if not isinstance(run, RunSummary):
        raise SpaceError("a confidence needs the run's measurements, not its points alone. Pass the summarised run.")
    resample = draw_replicates(run.samples.speakers, confidence)
    probability = dict.fromkeys((point.name for point in points), 1.0)
    if limits:
        probability = _probability(run, limits, resample, confidence)
    sure = [point for point in feasible if probability[point.name] >= confidence - _ROUNDING]
    if not sure:
        nearest = max(feasible, key=lambda point: probability[point.name])
        index = [point.name for point in points].index(nearest.name)
        more = more_speakers(run.samples, limits, resample, confidence, index)
        raise InfeasibleError(
            f"{question} None: as measured {len(feasible)} of {len(points)} points meet the limits, but none with that "
            f"probability. {nearest.title} comes nearest, with probability {probability[nearest.name]:.3f}. Measure "
            f"more speakers ({_how_many(more)}), or ask for less."
            + (f" {resample.warning}" if resample.warning else "")
        )
    chosen = _lowest(sure, minimised)

    def surely(others: Mapping[str, float]) -> list[PointSummary]:
        candidates = points_within(points, others)
        if not others:
            return candidates
        found = _probability(run, others, resample, confidence)
        return [point for point in candidates if found[point.name] >= confidence - _ROUNDING]

    binding, without = _binding(points, limits, minimised, chosen, surely)
    indices = {point.name: index for index, point in enumerate(points)}
    ties = find_ties(
        run.samples,
        resample,
        points,
        indices[chosen.name],
        tuple(indices[point.name] for point in sure),
        minimised,
        confidence,
    )
    return Recommendation(
        question,
        chosen,
        minimised,
        limits,
        len(sure),
        binding,
        without,
        confidence,
        probability[chosen.name],
        ties,
        (resample.warning,) if resample.warning else (),
        titles,
    )


def _titles(run: RunSummary | Sequence[PointSummary]) -> dict[str, str]:
    """What every objective is called: error rates relative to a model, or of characters, are no word error rates."""
    record = run.run if isinstance(run, RunSummary) else None
    return {
        name: objective.title if record is None else record.title_of(name, objective.title)
        for name, objective in OBJECTIVES.items()
    }


def _lowest(points: Sequence[PointSummary], minimised: str) -> PointSummary:
    def key(point: PointSummary) -> tuple[float, ...]:
        values = (getattr(point, minimised), getattr(point, QUALITY[point.task]), point.rtf, point.executed_gflops)
        return tuple(inf if isnan(value) else value for value in values)  # NaN last

    return min(points, key=key)


def _probability(
    run: RunSummary, limits: Mapping[str, float], resample: Resample, confidence: float
) -> dict[str, float]:
    found = judge_limits(run.samples, limits, resample, confidence).probability
    names = [point.name for point in run.points]
    return dict(zip(names, found.tolist(), strict=True))


def _how_many(more: float) -> str:
    if more > _MOST_SPEAKERS:
        return f"more than {_MOST_SPEAKERS:,} would be needed: it is too near the limit to be told"
    return f"about {more:.0f} more would do, if it goes on as here"


def _binding(
    points: Sequence[PointSummary],
    limits: Mapping[str, float],
    minimised: str,
    chosen: PointSummary,
    allowed: Callable[[Mapping[str, float]], list[PointSummary]] | None = None,
) -> tuple[str | None, PointSummary | None]:
    best: tuple[str | None, PointSummary | None] = (None, None)
    lowest = getattr(chosen, minimised)
    for name in limits:
        others = {other: limit for other, limit in limits.items() if other != name}
        candidates = points_within(points, others) if allowed is None else allowed(others)
        freed = _lowest([chosen, *candidates], minimised)
        if getattr(freed, minimised) < lowest:
            lowest = getattr(freed, minimised)
            best = (name, freed)
    return best


def _nearest_miss(points: Sequence[PointSummary], limits: Mapping[str, float], titles: Mapping[str, str]) -> str:
    def worst_excess(point: PointSummary) -> float:
        excesses = [getattr(point, name) / limit - 1 for name, limit in limits.items()]
        return max(inf if isnan(excess) else excess for excess in excesses)

    nearest = min(points, key=worst_excess)
    missed = [
        f"{titles[name]} {OBJECTIVES[name].show(getattr(nearest, name))} "
        f"misses {OBJECTIVES[name].show(limit)} by {_by(name, getattr(nearest, name), limit)}"
        for name, limit in limits.items()
        if not getattr(nearest, name) <= limit
    ]
    return f"{nearest.title} comes nearest; its {'; its '.join(missed)}."


def _by(name: str, value: float, limit: float) -> str:
    if OBJECTIVES[name].complement:
        return f"{OBJECTIVES[name].scale * (value - limit):.1f} points"
    return f"{100 * (value / limit - 1):.0f} %"


def _stated(point: PointSummary, name: str, limit: float, titles: Mapping[str, str]) -> str:
    objective = OBJECTIVES[name]
    return f"{titles[name]} {objective.show(getattr(point, name))} (limit {objective.show(limit)})"
