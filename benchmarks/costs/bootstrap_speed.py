"""Time the paired, blocked bootstrap of a whole sweep: intervals, differences and probabilities of dominance.

What is timed, from counts per point and utterance in memory: drawing the replicates; WER and mean cost of every point
with 95 % intervals; their differences to one reference point with intervals; and the verdict on every point with the
probability that each other point dominates it. Peak memory is that of the whole process, interpreter included.
"""

from __future__ import annotations

import os
import resource
import sys
import time

import numpy as np
import numpy.typing as npt

from allophone.frontier.dominance import frontier_mask
from allophone.frontier.uncertainty import assess_frontier
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_mean, resample_ratio, resample_ratio_difference
from allophone.measure.intervals import intervals
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import spread, write_result

Array = npt.NDArray[np.float64]

SETTINGS = {
    "n_replicates": sized(10_000, 200),
    "n_points": sized(200, 10),
    "n_utterances": sized(3_000, 60),
    "n_speakers": sized(300, 12),
    "seed": 0,
}
FRONTIER = {"n_points": sized(10_000, 200), "n_objectives": 3}
WARM_UP, REPEATS = 1, sized(5, 1)


def simulate_counts() -> tuple[list[str | None], Array, Array, Array]:
    """Speakers and reference words of the utterances; errors and cost per point and utterance."""
    rng = np.random.default_rng(SETTINGS["seed"])
    n_points, n_utterances = SETTINGS["n_points"], SETTINGS["n_utterances"]
    speaker = np.arange(n_utterances) % SETTINGS["n_speakers"]
    words = rng.integers(5, 36, n_utterances)
    ease = rng.gamma(4, 1 / 4, SETTINGS["n_speakers"])[speaker] * rng.gamma(4, 1 / 4, n_utterances)
    cost_per_s = rng.uniform(1, 50, n_points)
    wer = 0.05 + 0.3 / cost_per_s * rng.lognormal(0, 0.3, n_points)  # dearer points are better, on the whole
    errors = rng.poisson(words * ease * wer[:, None]).astype(np.float64)
    cost = cost_per_s[:, None] * words / 2.5 * rng.lognormal(0, 0.05, (n_points, n_utterances))
    return [str(s) for s in speaker], words.astype(np.float64), errors, cost


def judge(speakers: list[str | None], words: Array, errors: Array, cost: Array) -> dict[str, float]:
    """One whole evaluation; returns the seconds of its steps."""
    marks = [time.perf_counter()]
    resample = draw_blocks(speakers, n_replicates=SETTINGS["n_replicates"], seed=SETTINGS["seed"])
    rates, costs = resample_ratio(errors, words, resample), resample_mean(cost, resample)
    for replicates in (rates, costs):
        intervals(replicates)
    marks.append(time.perf_counter())
    ones = np.ones_like(words)
    for counts, denominators in ((errors, words), (cost, ones)):
        intervals(resample_ratio_difference(counts, denominators, resample, reference=0))
    marks.append(time.perf_counter())
    objectives = np.stack([rates.inflated(), costs.inflated()], axis=-1)
    assess_frontier(objectives, np.stack([rates.estimates, costs.estimates], axis=-1))
    marks.append(time.perf_counter())
    steps = dict(zip(("intervals_s", "differences_s", "dominance_s"), np.diff(marks).tolist(), strict=True))
    return {**steps, "total_s": marks[-1] - marks[0]}


def large_frontier() -> dict[str, float]:
    """Seconds for the frontier of many points: uniform ones, and the worst case where none is dominated."""
    rng = np.random.default_rng(SETTINGS["seed"])
    shell = np.abs(rng.standard_normal((FRONTIER["n_points"], FRONTIER["n_objectives"])))
    shell /= -np.linalg.norm(shell, axis=1, keepdims=True)
    seconds = {}
    for name, values in (("uniform_s", rng.random(shell.shape)), ("all_on_frontier_s", shell)):
        start = time.perf_counter()
        frontier_mask(values)
        seconds[name] = time.perf_counter() - start
    return seconds


def summary(runs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Median, least and greatest of every figure."""
    return {name: spread([run[name] for run in runs]) for name in runs[0]}


def main() -> None:
    begin(command_line(__doc__))
    counts = simulate_counts()
    runs = [judge(*counts) for _ in range(WARM_UP + REPEATS)][WARM_UP:]
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    frontiers = [large_frontier() for _ in range(WARM_UP + REPEATS)][WARM_UP:]
    write_result(
        "bootstrap_speed",
        settings={"bootstrap": SETTINGS, "frontier": FRONTIER, "warm_up": WARM_UP, "load_average": os.getloadavg()},
        figures={"bootstrap": {**summary(runs), "peak_memory_bytes": peak_bytes}, "frontier": summary(frontiers)},
    )


if __name__ == "__main__":
    main()
