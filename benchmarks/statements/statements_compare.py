"""Whether what ``allophone compare`` states holds on new data: false alarms of conditions, confidence in a regression.

Each cell draws null pairs, a run before and a run after between which nothing changed in truth, and asks how often any
condition fails, and how often a point is said, so surely, to have got worse.
``--runs`` makes null pairs of real runs by resplitting them: two points of one run, or two runs, change places speaker
by speaker at random, so that neither side is worse in truth.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from allophone.compare.changes import contrast, judge_conditions, probability_of_rise
from allophone.compare.conditions import read_condition
from allophone.compare.pairing import PairedPoint
from allophone.frontier.noise_floor import Noise, Twins, estimate_noise
from allophone.frontier.recognition import RecognitionSamples
from allophone.frontier.summarise import summarise_run
from allophone.guarantee.limits import enough_speakers
from allophone.measure.blocks import draw_blocks
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import write_result
from benchmarks.statements.statements_points import LOOPS, REPLICATES, Array, row, simulate

RATE = 0.10
CONFIDENCE = 0.95
CONDITIONS = {1: ("wer > +0",), 6: ("wer > +0", "wer > +0%", "rtf > +0%", "latency_p95_s > +0")}
NOISE = 0.05  # deviation of the logarithm of one time
HICCUPS = 0.01  # share of times that take three times as long
TWINS = 40
SURE = (0.8, 0.9, 0.95)
FALSE_ALARM = "compare --fail-if: no condition fails where nothing got worse"


def main() -> None:
    """Run every simulation and write its rows."""
    parser = command_line(__doc__)
    parser.add_argument("--simulations", type=int, default=sized(1000, 4), help="Pairs per cell.")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="Two real runs of the same points to resplit.")
    asked = begin(parser)
    rows = [*null_rows(asked.simulations), *confidence_rows(asked.simulations)]
    if asked.runs:
        rows += resplit_rows(asked.runs, asked.simulations)
    settings = {"simulations": asked.simulations, "replicates": REPLICATES, "confidence": CONFIDENCE}
    write_result("statements_compare", settings, {"rows": rows})


def null_rows(n: int) -> list[dict[str, Any]]:
    """Null pairs, and pairs in which everything got a fifth worse, for the share that is then found."""
    found = []
    for loops in (0.0, LOOPS):
        for unequal in (False, True):
            for n_speakers in (8, 12, 28):
                for n_points, conditions in CONDITIONS.items():
                    rng = np.random.default_rng([n_speakers, n_points, unequal, bool(loops), 17])
                    quiet, caught, refused = [], [], 0
                    for seed in range(n):
                        rises = (1.0, 1.2) if seed < n // 4 else (1.0,)
                        for rise in rises:
                            samples = draw_pair(rng, n_speakers, n_points, rise, unequal=unequal, loops=loops)
                            failed = fails(samples, n_points, conditions, seed)
                            if failed is None:
                                refused += rise == 1.0
                            elif rise == 1.0:
                                quiet.append(not failed)
                            else:
                                caught.append(failed)
                    if len(quiet) < n // 2:  # speakers so unequal that the command refuses most
                        continue
                    counted = (
                        "1 point, 1 condition" if n_points == 1 else f"{n_points} points, {len(conditions)} conditions"
                    )
                    cell = f"{counted}, {n_speakers} speakers, {'unequal' if unequal else 'equal'}"
                    cell += ", rare loops" if loops else ""
                    note = f"Everything worse by a fifth: {100 * float(np.mean(caught)):.0f} % fail."
                    if refused:
                        note += f" {100 * refused / n:.0f} % of these pairs are refused a verdict."
                    found.append(row(FALSE_ALARM, cell, CONFIDENCE, quiet, note))
    return found


def draw_pair(
    rng: np.random.Generator, n_speakers: int, n_points: int, rise: float, *, unequal: bool, loops: float
) -> RecognitionSamples:
    """Draw one pair: errors and times of every point before, then of every point after, at ``rise`` times both."""
    corpus = simulate(np.repeat([RATE, RATE * rise], n_points), n_speakers, rng, unequal=unequal, loops=loops)
    shape = corpus.errors.shape
    work = corpus.words * 0.04 * np.exp(0.2 * rng.standard_normal(len(corpus.words)))

    def times(n_rows: int) -> Array:
        noise = np.exp(NOISE * rng.standard_normal((n_rows, shape[1])))
        return work * noise * np.where(rng.random(noise.shape) < HICCUPS, 3.0, 1.0)

    latency = times(shape[0]) * np.repeat([1.0, rise], n_points)[:, None]
    noises = [twin_noise(latency[0], times(1)[0]), twin_noise(latency[n_points] / rise, times(1)[0])]
    noise = {name: max((one[name] for one in noises), key=lambda item: item.deviation) for name in noises[0]}
    return RecognitionSamples(
        points=tuple(map(str, range(shape[0]))),
        utterances=tuple(map(str, range(shape[1]))),
        speakers=tuple(corpus.speakers),
        words=corpus.words,
        duration_s=corpus.words * 0.4,
        errors=corpus.errors,
        latency_s=latency,
        executed_flops=latency,
        published_flops=latency,
        peak_memory_bytes=np.full(shape, np.nan),
        noise=noise,
    )


def twin_noise(first: Array, second: Array) -> dict[str, Noise]:
    """The noise that a run knows from one point measured twice on some utterances."""
    pair = np.array([first[:TWINS], second[:TWINS]])
    return estimate_noise(Twins(pair, np.full_like(pair, np.nan)))


def fails(samples: RecognitionSamples, n_points: int, conditions: tuple[str, ...], seed: int) -> bool | None:
    """Whether any condition fails; None where the command refuses, as there are too few speakers."""
    resample = draw_blocks(samples.speakers, n_replicates=REPLICATES, seed=seed)
    if not enough_speakers(min(resample.effective_blocks, resample.n_blocks)):
        return None
    points = [PairedPoint(str(k), str(k), str(k)) for k in range(n_points)]
    read = [read_condition(text) for text in conditions]
    return any(outcome.failed for outcome in judge_conditions(samples, points, read, CONFIDENCE, resample))


def confidence_rows(n: int) -> list[dict[str, Any]]:
    """Null pairs: how often it is not said, at least so surely, that the point got worse."""
    found = []
    for n_speakers in (8, 12, 28):
        rng = np.random.default_rng([n_speakers, 18])
        stated: dict[str, list[float]] = {"wer": [], "rtf": []}
        for seed in range(n):
            samples = draw_pair(rng, n_speakers, 1, 1.0, unequal=False, loops=0.0)
            resample = draw_blocks(samples.speakers, n_replicates=REPLICATES, seed=seed)
            for name, said in stated.items():
                said.append(float(probability_of_rise(contrast(samples, 1, name, 1.0, resample))[0]))
        for name, said in stated.items():
            for least in SURE:
                held = [not confidence >= least for confidence in said]
                cell = f"{name}, {n_speakers} speakers, equal"
                found.append(row("compare: not said to be worse though nothing changed", cell, least, held))
    return found


def resplit_rows(folders: list[Path], n: int) -> list[dict[str, Any]]:
    """Null pairs of real speech: within a run, and between two runs of the same points."""
    runs = [summarise_run(folder).samples for folder in folders[:2]]
    pairs = {"two points of one run": (runs[0], 0, runs[0], -1)}
    if len(runs) > 1:
        pairs["one point of two runs"] = (runs[0], 0, runs[1], 0)
    found = []
    for name, (one, first, other, second) in pairs.items():
        cut = {"wer": "errors", "rtf": "latency_s"}
        arrays = {
            field: np.array([getattr(one, field)[first], getattr(other, field)[second]]) for field in cut.values()
        }
        speakers = np.array([str(speaker) for speaker in one.speakers])
        for measure, field in cut.items():
            rng = np.random.default_rng(19)
            quiet = []
            for seed in range(n):
                swapped = np.isin(speakers, [who for who in np.unique(speakers) if rng.random() < 0.5])
                values = np.where(swapped, arrays[field][::-1], arrays[field])
                samples = replace(
                    one,
                    points=("before", "after"),
                    **{key: values if key == field else arrays[key] for key in arrays},
                    executed_flops=arrays["latency_s"],
                    published_flops=arrays["latency_s"],
                    peak_memory_bytes=np.full_like(arrays["latency_s"], np.nan),
                    throughput=None,
                    characters=None,
                    character_errors=None,
                )
                failed = fails(samples, 1, (f"{measure} > +0",), seed)
                if failed is None:
                    raise SystemExit(f"{folders[0]}: too few speakers to resplit.")
                quiet.append(not failed)
            cell = f"resplits of {name}, {measure}, {len(np.unique(speakers))} speakers, real speech"
            found.append(row(FALSE_ALARM, cell, CONFIDENCE, quiet))
    return found


if __name__ == "__main__":
    main()
