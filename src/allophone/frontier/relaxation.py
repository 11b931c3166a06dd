"""What to do where no point meets all limits: which single limit to relax by how much, or which axis to widen.

Relaxing limit ``i`` alone admits every point that meets the others, so the least value that is enough is the smallest
value of ``i`` among them. What an unmeasured setting would bring is not known, but which axis can bring it: coarser
tokens, faster speech and a short context cost less, more beams and a bigger model make fewer errors, as a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, isfinite

from allophone.dimensions.whisper import WHISPER_MODELS
from allophone.frontier.objectives import OBJECTIVES, QUALITY
from allophone.frontier.summary import PointSummary, RunSummary
from allophone.records.point import OperatingPoint

__all__ = ["points_within", "relaxations", "ways_out"]

_CHEAPER = {"token_stride": "1,2", "speed": "1,1.25", "context": "full,fit"}
_BETTER = {"beam_size": "1,5"}
_LADDER = ("tiny", "base", "small", "medium", "large-v3")


def ways_out(
    run: RunSummary | None, points: Sequence[PointSummary], limits: Mapping[str, float], titles: Mapping[str, str]
) -> list[str]:
    """Return in sentences what would lead to an answer, and what it would take.

    Args:
        run: The run, where there is one: then axes that it did not vary are named too.
        points: Its points.
        limits: Largest allowed value by objective name, which no point meets together.
        titles: What objectives are called.
    """
    told = []
    for name, point in relaxations(points, limits).items():
        objective, value = OBJECTIVES[name], getattr(point, name)
        told.append(f"{titles[name]} {objective.limit} {_enough(name, value)} ({point.title})")
    lines = [f"Relaxing one limit is enough: {', or '.join(told)}."] if told else []
    if not told and len(limits) > 1:
        lines.append("Relaxing one limit alone is not enough.")
    missed = [name for name, limit in limits.items() if not points_within(points, {name: limit})]
    if run is not None and (options := _unmeasured(run, missed or list(limits))):
        slowest = max(point.rtf * point.audio_s for point in run.points) / 60
        others = f"; or with {' or '.join(options[1:])}" if options[1:] else ""
        lines.append(
            f"Or measure what this run has not: allophone sweep {run.run.corpus} --out RUN --extend "
            f"{options[0]}{others} (its slowest point took {slowest:.1f} min)."
        )
    return lines


def relaxations(points: Sequence[PointSummary], limits: Mapping[str, float]) -> dict[str, PointSummary]:
    """Return for every limit whose relaxing alone is enough the point that asks least of it."""
    found = {}
    for name in limits:
        others = {other: limit for other, limit in limits.items() if other != name}
        allowed = [point for point in points_within(points, others) if isfinite(getattr(point, name))]
        if allowed:
            found[name] = min(allowed, key=lambda point: float(getattr(point, name)))
    return found


def points_within(points: Sequence[PointSummary], limits: Mapping[str, float]) -> list[PointSummary]:
    """Return the points that meet all limits as measured; what was not measured (NaN) never meets one."""
    return [point for point in points if all(getattr(point, name) <= limit for name, limit in limits.items())]


def _enough(name: str, value: float) -> str:
    """Show a limit that admits the value, rounded away from it, so that it can be asked for as it stands."""
    objective = OBJECTIVES[name]
    step = 10.0**-objective.decimals
    steps = objective.shown(value) / step
    rounded = (floor(steps + 1e-6) if objective.complement else ceil(steps - 1e-6)) * step
    shown = f"{rounded:.{objective.decimals}f}"
    return f"{shown} {objective.unit}" if objective.unit else shown


def _unmeasured(run: RunSummary, missed: Sequence[str]) -> list[str]:
    """Return options of a sweep with settings that could meet what was missed, of axes that the run did not vary."""
    points = [point.point for point in run.points if isinstance(point.point, OperatingPoint)]
    if not points:  # settings of emotion recognition are trained anew for every value
        return []
    models = ",".join(dict.fromkeys(point.model for point in points))
    asked = _BETTER if QUALITY["asr"] in missed else {}
    asked = asked | (_CHEAPER if set(missed) - {QUALITY["asr"], "cer"} else {})
    single = [axis for axis in asked if len({getattr(point, axis) for point in points}) == 1]
    options = [f"--models {models} --axis {axis}={asked[axis]}" for axis in single]
    bigger = _bigger(points) if QUALITY["asr"] in missed else None
    return [f"--models {bigger}", *options] if bigger else options


def _bigger(points: Sequence[OperatingPoint]) -> str | None:
    ranks = [_LADDER.index(size) for point in points if (size := point.model.removesuffix(".en")) in _LADDER]
    if not ranks or max(ranks) + 1 == len(_LADDER):
        return None
    english = all(point.model.endswith(".en") for point in points)
    name = _LADDER[max(ranks) + 1]
    return f"{name}.en" if english and f"{name}.en" in WHISPER_MODELS else name
