"""``allophone law``: what loss costs on each axis, and what a budget would buy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from allophone.cli.say import say, say_prose

if TYPE_CHECKING:
    from allophone.frontier.recognition import RecognitionRunSummary
    from allophone.law.law import Law
    from allophone.law.search import Extrapolation
    from allophone.records.point import OperatingPoint

__all__ = ["law"]

_LENGTHS = 50  # utterances, spread over the run's lengths, on which a candidate's cost is computed


def law(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    budget_gflops: Annotated[
        float | None, typer.Option(help="Predict the best point at this many executed GFLOPs per utterance.")
    ] = None,
    models: Annotated[str, typer.Option(help="More models to consider, comma-separated, measured or not.")] = "",
    propose: Annotated[int, typer.Option(min=0, help="How many points to measure next.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, GFLOPs.")] = False,
) -> None:
    """Fit a scaling law to a run's points, or say that none fits; extrapolate and propose points with it."""
    import json

    from allophone.frontier.recognition import RecognitionRunSummary
    from allophone.frontier.summarise import summarise_run
    from allophone.law.law import fit_law
    from allophone.law.search import best_within
    from allophone.law.search import propose as propose_points
    from allophone.sweeps.recognition.plans import plan_points
    from allophone.sweeps.space import SearchSpace

    summary = summarise_run(run, RecognitionRunSummary)
    found = fit_law(summary)
    space = SearchSpace.model_validate(summary.run.space)
    named = [name.strip() for name in models.split(",") if name.strip()]
    space = space.model_copy(update={"model": tuple(dict.fromkeys([*space.model, *named]))})
    candidates = list(dict.fromkeys([*found.points, *plan_points(space, "grid")]))
    gflops = _gflops(summary, candidates)
    best = None if budget_gflops is None else best_within(found, budget_gflops, candidates, gflops)
    spent = gflops[: len(found.points)]
    reachable = [all(map(found.validation.extrapolates, found.beyond(point))) for point in candidates]
    trusted = [point for point, within in zip(candidates, reachable, strict=True) if within]
    costs = [cost for cost, within in zip(gflops, reachable, strict=True) if within]
    following = propose_points(found, trusted, costs, spent, propose)
    notices = [*summary.notices, *found.warnings]
    if as_json:
        record = _record(found, budget_gflops, best, following, notices)
        say(json.dumps(record, indent=1, ensure_ascii=False))
        return
    for line in _lines(found, summary.run.quality_name, budget_gflops, best, following):
        say_prose(line)
    for notice in notices:
        say_prose(notice)


def _gflops(summary: RecognitionRunSummary, candidates: Sequence[OperatingPoint]) -> list[float]:
    """Executed GFLOPs per utterance: measured, or the closed form scaled by what measured points cost over it."""
    from statistics import median

    import numpy as np

    from allophone.costs.recognition import point_flops
    from allophone.dimensions.moonshine import recognition_dimensions
    from allophone.models.engine import FAKE_PREFIX

    lengths = np.quantile(summary.samples.duration_s, np.linspace(0.01, 0.99, _LENGTHS)).tolist()
    tokens = max(1, round(median(point.text_tokens / point.n_utterances for point in summary.points)))

    def closed(point: OperatingPoint) -> float:
        dims = recognition_dimensions(point.model.removeprefix(FAKE_PREFIX))
        counts = [point_flops(dims, point, audio_s=seconds, text_tokens=tokens) for seconds in lengths]
        return sum(counts) / len(counts) / 1e9

    measured = {point.point: point.executed_gflops for point in summary.points}
    unmeasured = [point for point in candidates if point not in measured]
    scale = median(cost / closed(point) for point, cost in measured.items()) if unmeasured else 1.0
    return [measured[point] if point in measured else scale * closed(point) for point in candidates]


def _record(
    found: Law,
    budget_gflops: float | None,
    best: Extrapolation | None,
    following: Sequence[OperatingPoint],
    notices: list[str],
) -> dict[str, Any]:
    from math import exp

    from allophone.law.resources import RESOURCES

    k = len(found.axes)
    values = [exp(value) for value in found.coefficients]
    validation = found.validation
    record: dict[str, Any] = {
        "n_points": len(found.points),
        "axes": [
            {
                "axis": axis,
                "resource": RESOURCES[axis].title,
                "middle": exp(found.centre[index]),
                "coefficient": values[1 + index],
                "exponent": values[1 + k + index],
            }
            for index, axis in enumerate(found.axes)
        ],
        "irreducible": values[0],
        "interactions": [
            {"axes": [found.axes[one], found.axes[other]], "coefficient": values[1 + 2 * k + index]}
            for index, (one, other) in enumerate(found.form.pairs)
        ],
        "misfit": found.misfit,
        "left_out_points": {"error": validation.point_error, "median_error": validation.point_trivial},
        "left_out_values": {
            axis: {"error": left.error, "median_error": left.trivial} for axis, left in validation.values.items()
        },
        "next": [point.model_dump() for point in following],
        "notices": notices,
    }
    if best is not None:
        record["budget"] = {
            "budget_gflops": budget_gflops,
            "point": best.point.model_dump(),
            "gflops": best.gflops,
            "wer": best.loss.estimate,
            "interval": [best.loss.low, best.loss.high],
            "level": best.loss.level,
            "beyond": list(best.beyond),
            "left_out": best.left_out,
        }
    return record


def _lines(
    found: Law,
    quality: str,
    budget_gflops: float | None,
    best: Extrapolation | None,
    following: Sequence[OperatingPoint],
) -> list[str]:
    record = _record(found, budget_gflops, best, following, [])
    lines = [f"{quality} of {record['n_points']} points, as a law of what each axis buys:"]
    lines.append(f"  irreducible {100 * record['irreducible']:.2f} %")
    lines += [
        f"  {item['axis']}: {100 * item['coefficient']:.2f} % x ({item['resource']} / {item['middle']:.4g}) ^ "
        f"-{item['exponent']:.2f}"
        for item in record["axes"]
    ]
    lines += [
        f"  {' x '.join(item['axes'])}: {100 * item['coefficient']:.2f} % x the product of both powers"
        for item in record["interactions"]
    ]
    left = record["left_out_points"]
    lines.append(
        f"A point left out is predicted to {100 * left['error']:.2f} % (by the median of the others: "
        f"{100 * left['median_error']:.2f} %)."
    )
    for axis, errors in record["left_out_values"].items():
        lines.append(
            f"A value of {axis} left out: {100 * errors['error']:.2f} % (median {100 * errors['median_error']:.2f} %)."
        )
    if best is not None:
        lines.append(
            f"Within {budget_gflops:g} GFLOPs per utterance: {best.point.title} at {best.gflops:.1f} GFLOPs, predicted "
            f"{100 * best.loss.estimate:.2f} % ({100 * best.loss.level:g} % interval {100 * best.loss.low:.2f} to "
            f"{100 * best.loss.high:.2f} %)."
        )
        if best.beyond:
            lines.append(f"  It lies outside what was measured in {', '.join(best.beyond)}.")
        if best.left_out:
            lines.append(f"  {best.left_out} affordable candidates lie where the law was not seen to carry.")
    if following:
        lines.append(f"Measure next: {'; '.join(point.title for point in following)}.")
    return lines
