"""What the routing page shows, computed: error rates at equal cost, where a curve beats always-big, where costs go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allophone.costs.decider import decider_flops_on
from allophone.routing.calibration import policy_samples
from allophone.routing.evaluation import DomainResult, Evaluation
from allophone.routing.policy_file import PolicyFile
from allophone.routing.recovery import CURVE_POSITIONS, MIDDLE_HALF, Recovery
from allophone.routing.replay import break_even, replay
from allophone.routing.routers import Overhead
from allophone.routing.samples import RecognitionRouteSamples, point_dimensions, read_route_samples

WITHIN = 0.003  # of always-big's error rate: where the saving is read off the curve
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)  # of always-big's cost, at which routers are set side by side


@dataclass(frozen=True, slots=True)
class Judged:
    """One policy and how it did on the report sets."""

    name: str
    folder: Path
    card: PolicyFile
    found: Evaluation


def figures_of(item: Judged) -> dict[str, Any]:
    """Return everything about one policy for the JSON."""
    return {
        "points": [point.name for point in item.card.points],
        "decision_s": item.card.overhead_s,
        "decision_s_per_audio_s": item.card.overhead_s_per_audio_s,
        "training": item.card.training.model_dump(exclude={"speakers", "held_out"}),
        "calibration": item.card.calibration.model_dump() if item.card.calibration else None,
        "evaluation": json.loads(item.found.to_json()),
    }


def shown_routers(judged: Sequence[Judged], place: int) -> list[tuple[str, Recovery, Recovery]]:
    """Return every policy and, once, the baselines on one set: name, against FLOPs, against seconds."""
    rows = []
    for number, item in enumerate(judged):
        result = item.found.results[place]
        pairs = list(zip(result.flops, result.seconds, strict=True))
        rows.append((item.name, *pairs[0]))
        if number == len(judged) - 1:
            first = judged[0].found.results[place]
            baselines = zip(first.flops[1:], first.seconds[1:], strict=True)
            rows += [(flops.name, flops, seconds) for flops, seconds in baselines]
    return rows


def at_shares(wer: np.ndarray, cost: np.ndarray) -> list[float | None]:
    """Read a curve at shares of always-big's cost, the last of the curve's; None below its first."""
    known = np.isfinite(wer)
    return [
        float(np.interp(share * cost[-1], cost[known], wer[known]))
        if known.any() and share * cost[-1] >= cost[known][0]
        else None
        for share in SHARES
    ]


def below_big(item: Judged) -> list[dict[str, Any]]:
    """Say on every set between which costs the curve lies below always-big, and from where on it is near."""
    rows = []
    for result in item.found.results:
        row: dict[str, Any] = {"set": result.name, "router": item.name}
        for kind, curve in (("flops", result.flops[0]), ("seconds", result.seconds[0])):
            big, cost = result.fixed[-1][1], curve.cost / curve.cost[-1]
            below = np.flatnonzero((curve.wer < big) & (cost < 1))
            near = np.flatnonzero(curve.wer <= big + WITHIN)
            row[kind] = {
                "below_from_of_big": float(cost[below[0]]) if below.size else None,
                "below_to_of_big": float(cost[below[-1]]) if below.size else None,
                "lowest_wer": float(curve.wer[below].min()) if below.size else None,
                "near_from_of_big": float(cost[near[0]]) if near.size else None,
            }
        rows.append(row)
    return rows


def headline(figures: dict[str, Any]) -> dict[str, Any]:
    """Choose the policy that stands for all, by training speakers alone, and say what it does on the report sets.

    The one that recovered most on training speakers it had not seen; every policy's threshold was set beforehand, on
    held-out speakers. Where its curve on the report sets lies below always-big is read off afterwards.
    """
    recovered = {name: policy["training"]["recovered_share"] for name, policy in figures["policies"].items()}
    chosen = max(recovered, key=lambda name: recovered[name])
    results = figures["policies"][chosen]["evaluation"]["results"]
    curves = {row["set"]: row["flops"] for row in figures["below_big"] if row["router"] == chosen}
    return {
        "policy": chosen,
        "rule": "recovered most on unseen training speakers",
        "recovered_share": recovered[chosen],
        "sets": [
            {
                "set": result["name"],
                "flops_of_last": result["at_threshold"]["flops_of_last"],
                "gflops_of_last": result["fixed"][-1]["gflops"],
                **{
                    name: dict(zip(("estimate", "low", "high"), result["at_threshold"][name], strict=True))
                    for name in ("gflops", "wer_over_last")
                },
                "read_off_curve": curves[result["name"]],
            }
            for result in results
        ],
    }


def cost_orders(samples: RecognitionRouteSamples) -> list[dict[str, Any]]:
    """Say what each order of running costs: where it breaks even, and the least it can cost, deciders included."""
    small, big = (point_dimensions(point) for point in samples.points)
    tokens = round(float(np.mean(samples.duration_s + 1) * 50))  # the fit context's audio tokens
    deciders = {
        "big_first": decider_flops_on(big.n_audio_state, tokens),
        "small_first": decider_flops_on(small.n_audio_state, tokens),
        "cascade": 0,
    }
    rows = []
    for order, flops in deciders.items():
        overhead = Overhead(flops=flops)
        wasted = {"big_first": samples.encoder_flops[-1], "small_first": 0.0, "cascade": 0.0}[order]
        least = (samples.flops[0] + wasted).mean() + flops
        rows.append(
            {
                "order": order,
                "decider_gflops": flops / 1e9,
                "least_of_big": float(least / samples.flops[-1].mean()),
                "break_even_flops": break_even(samples, order, overhead),  # type: ignore[arg-type]
                "break_even_seconds": break_even(samples, order, overhead, seconds=True),  # type: ignore[arg-type]
            }
        )
    return rows


def parts_of(item: Judged, report: list[Path]) -> dict[str, dict[str, float]]:
    """Split what a policy costs at its threshold, as shares of always-big's FLOPs and seconds on all report sets."""
    router, samples, _ = policy_samples(item.folder, report)
    outcome = replay(samples, router, item.card.threshold)
    climbed = outcome.reached == 1
    cascade, encoder_first = router.order == "cascade", router.order == "small_first"
    encoded = np.ones(len(samples)) if cascade or encoder_first else 1.0 - climbed
    decoded = np.ones(len(samples)) if cascade else 1.0 - climbed
    reading = samples.confidence_s[0] + climbed * samples.confidence_s[1] * router.overhead.reads_last
    encoder, decoder = samples.encoder_flops, samples.flops - samples.encoder_flops
    before_s, after_s = samples.before_s, samples.latency_s - samples.before_s
    columns = {
        "flops": (encoder, decoder, 0 * reading, outcome.flops, samples.flops),
        "seconds": (before_s, after_s, reading * cascade, outcome.seconds, samples.latency_s),
    }
    split = {}
    for kind, (before, decoding, read, spent, alone) in columns.items():
        parts = {
            "small_before_decoding": encoded * before[0],
            "small_decoding": decoded * decoding[0],
            "big_before_decoding": climbed * before[1],
            "big_decoding": climbed * decoding[1],
            "reading_confidence": read,
        }
        shares = {name: float(values.mean() / alone[1].mean()) for name, values in parts.items()}
        total = float(spent.mean() / alone[1].mean())
        split[kind] = {**shares, "deciding": total - sum(shares.values()), "total": total}
    return split


def pace_of_runs(runs: Sequence[Path], points: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the small point costs of the big one in each run, and how fast the machine was then."""
    rows = []
    for run in runs:
        samples = read_route_samples([run], points)
        decoding = samples.latency_s - samples.before_s
        rows.append(
            {
                "run": run.name,
                "n_utterances": len(samples),
                "small_of_big_flops": _ratio(samples.flops),
                "small_of_big_seconds": _ratio(samples.latency_s),
                "small_of_big_before_decoding_s": _ratio(samples.before_s),
                "small_of_big_decoding_s": _ratio(decoding),
                "big_gflops_a_second": float(samples.flops[1].sum() / samples.latency_s[1].sum() / 1e9),
            }
        )
    return rows


def _ratio(values: np.ndarray) -> float:
    return float(values[0].mean() / values[1].mean())


def middle_half_costs(result: DomainResult) -> tuple[float, float]:
    """Return the mean GFLOPs between which shares are recovered."""
    gflops = np.interp(CURVE_POSITIONS[MIDDLE_HALF][[0, -1]], CURVE_POSITIONS, result.flops[0].cost / 1e9)
    return float(gflops[0]), float(gflops[1])
