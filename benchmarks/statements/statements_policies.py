"""Whether calibrated policies keep their wishes on new speakers: simulated corpora, and halves of real runs.

A corpus has two points on speakers who differ in how hard they are, in how many errors the big point saves and in what
the policy's score makes of them. A calibration chooses a threshold on it as ``route calibrate`` does, and a population
of many more speakers tells whether the wish is kept. Refusals break nothing and count as kept: that is what is stated.
How often policies were given, and how many of those keep the wish, stands beside it: where a wish is barely within
reach, the calibrations that find it are the lucky ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.records.point import OperatingPoint
from allophone.routing.calibration import policy_samples
from allophone.routing.emotion import EmotionCandidates, ProbabilityRouter, choose_cascade
from allophone.routing.policy_file import POLICY_FILE
from allophone.routing.replay import replay
from allophone.routing.routers import Overhead
from allophone.routing.samples import RouteSamples
from allophone.routing.selection import PredictedRouter, predicted_router
from allophone.routing.thresholds import CalibrationTarget, Target, effective_speakers, find_threshold, met_as_measured
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, write_result

CONFIDENCE = 0.9
CALIBRATIONS = sized(1000, 2)
CASCADES = sized(300, 2)
COMPARED = 4  # every so many corpora also tell what the measured value alone would choose
REPLICATES, THRESHOLDS = 400, 40  # fewer than a user's, for time
LAYOUTS = ((8, 20), (12, 15), (28, 10))  # speakers, utterances of each on average
SIZES_SD = 0.8  # of the logarithm of unequal speakers' sizes
LOOPS = 0.02  # share of utterances
POPULATION = sized(20_000, 200)  # speakers
WISHES: tuple[tuple[str, Target, float], ...] = (
    ("WER halfway", "wer", 0.5),
    ("WER near the big point's", "wer", 0.9),
    ("GFLOPs halfway", "gflops", 0.5),
    ("share of 30 %", "big_share", 0.3),
)
SPLITS = 1000
REAL_RUNS = ("routing-speechocean762-train", "routing-librispeech-train-clean-5")
POINTS = (OperatingPoint(model="tiny.en"), OperatingPoint(model="base"))


@dataclass(frozen=True)
class Cell:
    """One kind of corpus.

    Args:
        n_speakers: Speakers.
        per_speaker: Utterances of each, on average.
        unequal: Whether speakers have log-normally many.
        loops: Whether the small point sometimes does not stop.
    """

    n_speakers: int
    per_speaker: int
    unequal: bool
    loops: bool

    def __str__(self) -> str:
        sizes = "unequal" if self.unequal else "equal"
        return f"{self.n_speakers} speakers, {sizes}{', rare loops' if self.loops else ''}"


def main() -> None:
    """Write ``docs/results/statements_policies.json``."""
    parser = command_line(__doc__)
    parser.add_argument("--policies", type=Path, nargs="*", default=sorted(RUNS.glob("routing-policy*")))
    parser.add_argument("--runs", type=Path, nargs="*", default=[RUNS / name for name in REAL_RUNS])
    parser.add_argument("--calibrations", type=int, default=CALIBRATIONS)
    asked = begin(parser)
    rows = []
    for loops in (False, True):
        population = draw(Cell(POPULATION, 10, False, loops), np.random.default_rng(0))
        for n_speakers, per_speaker in LAYOUTS:
            for unequal in (False, True):
                rows += simulate(Cell(n_speakers, per_speaker, unequal, loops), population, asked.calibrations)
    rows += [simulate_cascades(n_speakers, CASCADES) for n_speakers in (12, 28)]
    settings = {
        "confidence": CONFIDENCE,
        "calibrations": asked.calibrations,
        "replicates": REPLICATES,
        "thresholds": THRESHOLDS,
        "sizes_sd": SIZES_SD,
        "loops": LOOPS,
        "population_speakers": POPULATION,
    }
    real = [row for policy in asked.policies for row in on_real_speakers(policy, asked.runs)]
    write_result("statements_policies", settings, {"rows": rows, "halves_of_real_speakers": real})


def draw(cell: Cell, rng: np.random.Generator) -> tuple[RouteSamples, PredictedRouter]:
    """Return a corpus and a policy's scores on it."""
    sizes = np.full(cell.n_speakers, cell.per_speaker)
    if cell.unequal:
        shares = np.exp(SIZES_SD * rng.standard_normal(cell.n_speakers))
        sizes = np.maximum(1, np.round(shares / shares.sum() * cell.n_speakers * cell.per_speaker)).astype(np.intp)
    of = np.repeat(np.arange(cell.n_speakers), sizes)
    n = len(of)
    words = rng.integers(4, 30, n).astype(np.float64)
    hard = np.exp(0.6 * rng.standard_normal(cell.n_speakers) - 0.18)[of] * rng.gamma(2, 0.5, n)
    small = rng.poisson(0.13 * words * hard).astype(np.float64)
    if cell.loops:
        small += (rng.random(n) < LOOPS) * rng.integers(20, 100, n)
    errors = np.stack([small, rng.poisson(0.09 * words * hard).astype(np.float64)])
    habits, noise = rng.standard_normal(cell.n_speakers)[of], rng.standard_normal(n)
    score = (errors[0] - errors[1]) / words + 0.2 * habits + 0.25 * (1 + 0.3 * habits**2) * noise
    flops = np.stack([9e9 + 8e7 * words, 21e9 + 2e8 * words])
    return as_samples(of, words, errors, flops), PredictedRouter("simulated", "cascade", Overhead(), score[None])


def as_samples(of: IntArray, words: FloatArray, errors: FloatArray, flops: FloatArray) -> RouteSamples:
    """Return simulated utterances as if a run had measured them."""
    n, nothing = len(of), np.zeros_like(flops)
    return RouteSamples(
        points=POINTS,
        runs=(Path("simulated"),),
        domains=np.zeros(n, np.intp),
        utterances=tuple(map(str, range(n))),
        speakers=tuple(f"s{speaker}" for speaker in of.tolist()),
        weights=words,
        duration_s=0.4 * words,
        errors=errors,
        flops=flops,
        latency_s=flops / 1e11,
        confidence_s=nothing,
    )


def truth_of(population: tuple[RouteSamples, PredictedRouter], target: Target) -> tuple[FloatArray, FloatArray]:
    """Return rising scores, and the population's value with the threshold at each: shapes (n,) and (n + 1,)."""
    samples, router = population
    order = np.argsort(router.values[0])
    stay, climb = (replay(samples, router, threshold) for threshold in (np.inf, -np.inf))
    value = {
        "wer": (stay.errors, climb.errors, samples.weights.sum()),
        "gflops": (stay.flops / 1e9, climb.flops / 1e9, len(samples)),
        "big_share": (np.zeros(len(samples)), np.ones(len(samples)), len(samples)),
    }[target]
    falling = np.cumsum((value[1] - value[0])[order][::-1])[::-1]
    return router.values[0][order], (value[0].sum() + np.concatenate([falling, [0.0]])) / value[2]


def simulate(cell: Cell, population: tuple[RouteSamples, PredictedRouter], n: int) -> list[dict[str, Any]]:
    """Return one row per wish."""
    rng = np.random.default_rng((cell.n_speakers, cell.unequal, cell.loops))
    truths = {target: truth_of(population, target) for target in ("wer", "gflops", "big_share")}
    goals = []
    for _, target, way in WISHES:
        cheap, dear = truths[target][1][-1], truths[target][1][0]
        value = way if target == "big_share" else cheap + way * (dear - cheap)
        goals.append(CalibrationTarget(target, float(value), CONFIDENCE))
    given, broken, lucky = (np.zeros(len(goals), np.intp) for _ in range(3))
    few = 0
    for corpus in range(n):
        samples, router = draw(cell, rng)
        few += effective_speakers(samples.speakers) < 8
        for place, goal in enumerate(goals):
            scores, values = truths[goal.target]
            measured = None
            if corpus % COMPARED == 0:
                measured = met_as_measured(samples, router, goal, most=THRESHOLDS)
            if measured is not None:
                lucky[place] += values[np.searchsorted(scores, measured.threshold, side="right")] > goal.value
            chosen = find_threshold(samples, router, goal, n_replicates=REPLICATES, most=THRESHOLDS)
            if chosen is None:
                continue
            given[place] += 1
            broken[place] += values[np.searchsorted(scores, chosen.threshold, side="right")] > goal.value
    rows = []
    for place, (name, _, _) in enumerate(WISHES):
        row = row_of(f"route calibrate keeps its wish: {name}", str(cell), int(broken[place]), n)
        row["given"] = float(given[place] / n)
        row["held_of_given"] = float(1 - broken[place] / given[place]) if given[place] else None
        row["held_by_the_measured_value_alone"] = float(1 - lucky[place] / len(range(0, n, COMPARED)))
        row["refused_for_few_speakers"] = few / n  # and forced here
        if given[place] < n:
            kept = f", and {100 * row['held_of_given']:.0f} % of these keep it" if given[place] else ""
            row["note"] = f"refused in {100 * (1 - row['given']):.0f} % of calibrations, given in the others{kept}."
        rows.append(row)
        print(row, flush=True)
    return rows


def row_of(statement: str, cell: str, broken: int, n: int) -> dict[str, Any]:
    """Return the record that the page of all statements reads."""
    held = 1 - broken / n
    return {
        "statement": statement,
        "cell": cell,
        "stated": CONFIDENCE,
        "held": held,
        "standard_error": sqrt(max(held * (1 - held), 1 / n) / n),
        "simulations": n,
    }


def simulate_cascades(n_speakers: int, n: int) -> dict[str, Any]:
    """Return a row for cascades over emotion points, the sign of doubt chosen on the same speakers as the threshold."""
    rng, goal = np.random.default_rng(n_speakers), CalibrationTarget("big_share", 0.3, CONFIDENCE)
    population = draw_emotions(4000, 10, rng)
    broken = 0
    for _ in range(n):
        choice = choose_cascade(draw_emotions(n_speakers, 15, rng), goal)
        router = ProbabilityRouter(choice.signal, population.probabilities)
        broken += replay(population.samples, router, choice.threshold).reached.mean() > goal.value
    row = row_of("route emotion keeps its wish: share of 30 %", f"{n_speakers} speakers, equal", int(broken), n)
    print(row, flush=True)
    return row


def draw_emotions(n_speakers: int, per_speaker: int, rng: np.random.Generator) -> EmotionCandidates:
    """Return two points on four emotions; speakers differ in how clear their emotions are."""
    of = np.repeat(np.arange(n_speakers), per_speaker)
    n = len(of)
    label = rng.integers(0, 4, n)
    clear = np.exp(0.5 * rng.standard_normal(n_speakers))[of]
    probabilities = []
    for strength in (1.5, 2.5):
        logits = rng.standard_normal((n, 4))
        logits[np.arange(n), label] += strength * clear
        powers = np.exp(logits)
        probabilities.append(powers / powers.sum(axis=1, keepdims=True))
    stacked = np.stack(probabilities)
    hits = (stacked.argmax(axis=2) == label).astype(np.float64)
    weights = n / (4 * np.bincount(label, minlength=4)[label])
    flops = np.stack([np.full(n, 2e9), np.full(n, 2e10)])
    return EmotionCandidates(as_samples(of, weights, (1 - hits) * weights, flops), hits, stacked)


def on_real_speakers(policy: Path, runs: Sequence[Path], n_splits: int = SPLITS) -> list[dict[str, Any]]:
    """Choose on half of the speakers of real runs and ask the other half, many times; absent runs give no rows.

    The other half is no population: it is itself a draw, so that it exceeds a wish that the population keeps in up to
    half of the splits where the threshold leaves no room. What the measured value alone would have chosen stands
    beside it.
    """
    runs = [run for run in runs if (run / "run.json").is_file()]
    if not (policy / POLICY_FILE).is_file() or not runs:
        print(f"{policy}: not there, or none of its runs; passed over", flush=True)
        return []
    replayed, samples, _ = policy_samples(policy, runs)
    router = predicted_router(replayed, samples)
    names = sorted({str(speaker) for speaker in samples.speakers})
    rng = np.random.default_rng(0)
    rows = []
    for name, target, way in WISHES:
        ends = [_value(samples, router, threshold, target) for threshold in (np.inf, -np.inf)]
        goal = CalibrationTarget(
            target, way if target == "big_share" else ends[0] + way * (ends[1] - ends[0]), CONFIDENCE
        )
        if goal.value <= 0:
            continue
        counts = dict.fromkeys(("given", "broken", "measured_given", "measured_broken"), 0)
        for _ in range(n_splits):
            chosen = set(rng.permutation(names)[: len(names) // 2].tolist())
            mine = np.array([str(speaker) in chosen for speaker in samples.speakers])
            here, there = np.flatnonzero(mine), np.flatnonzero(~mine)
            known, scored = samples.take(here), router.take(here)
            others, judged = samples.take(there), router.take(there)
            measured = met_as_measured(known, scored, goal, most=THRESHOLDS)
            if measured is not None:
                counts["measured_given"] += 1
                counts["measured_broken"] += _value(others, judged, measured.threshold, target) > goal.value
            found = find_threshold(known, scored, goal, n_replicates=REPLICATES, most=THRESHOLDS)
            if found is None:
                continue
            counts["given"] += 1
            counts["broken"] += _value(others, judged, found.threshold, target) > goal.value
        rows.append(
            {
                "policy": policy.name,
                "runs": [run.name for run in runs],
                "wish": name,
                "value": goal.value,
                "speakers": len(names),
                "splits": n_splits,
                "held_on_the_other_half": 1 - counts["broken"] / n_splits,
                "held_by_the_measured_value_alone": 1 - counts["measured_broken"] / n_splits,
                "given": counts["given"] / n_splits,
                "given_by_the_measured_value_alone": counts["measured_given"] / n_splits,
            }
        )
        print(rows[-1], flush=True)
    return rows


def _value(samples: RouteSamples, router: PredictedRouter, threshold: float, target: Target) -> float:
    outcome = replay(samples, router, threshold)
    if target == "wer":
        return float(outcome.errors.sum() / samples.weights.sum())
    if target == "gflops":
        return float(outcome.flops.mean() / 1e9)
    return float((outcome.reached == len(samples.points) - 1).mean())


if __name__ == "__main__":
    main()
