"""Whether intervals and limits hold for shares of utterances, the 99th percentile of latency, and the worst group.

Each cell draws corpora whose true values are known, from the same generator at 200,000 utterances, and asks how often a
95 % interval holds the truth, or how often ``recommend --worst-group --confidence`` is right to let a point through.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from allophone.frontier.groups import find_groups, resample_worst
from allophone.frontier.shares import have_errors, have_more_errors
from allophone.guarantee.limits import enough_speakers, keep_limits
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio
from allophone.measure.intervals import intervals
from allophone.measure.quantiles import resample_quantile
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import write_result
from benchmarks.statements.statements_points import LOOPS, REPLICATES, Array, Simulated, row, simulate

RATES = np.array([0.10, 0.09])
SPEAKERS = sized((8, 12, 28, 60), (8,))
TRUTH_SPEAKERS = sized(20_000, 200)
CONFIDENCE = 0.9
GROUP_FACTORS = {"equal groups": 1.0, "one group worse by a half": 1.5}


def main() -> None:
    """Run every simulation and write its rows."""
    parser = command_line(__doc__)
    parser.add_argument("--simulations", type=int, default=sized(1000, 4), help="Corpora per cell.")
    n = begin(parser).simulations
    rows = [*share_rows(n), *latency_rows(n), *group_rows(n)]
    write_result("statements_objectives", {"simulations": n, "replicates": REPLICATES}, {"rows": rows})


def share_rows(n: int) -> list[dict[str, Any]]:
    """95 % intervals of the share of utterances with an error, and of those worse than at another point."""
    found = []
    for loops in (0.0, LOOPS):
        true = simulate(RATES, TRUTH_SPEAKERS, np.random.default_rng(20), loops=loops)
        truths = {name: float(values.mean()) for name, values in shares(true).items()}
        for n_speakers in SPEAKERS:
            rng = np.random.default_rng([n_speakers, bool(loops), 21])
            held: dict[str, list[bool]] = {name: [] for name in truths}
            for seed in range(n):
                corpus = simulate(RATES, n_speakers, rng, loops=loops)
                resample = draw_blocks(corpus.speakers, n_replicates=REPLICATES, seed=seed)
                for name, values in shares(corpus).items():
                    (interval,) = intervals(resample_ratio(values[None], np.ones(len(values)), resample))
                    held[name].append(interval.contains(truths[name]))
            cell = f"{n_speakers} speakers" + (", rare loops" if loops else "")
            found += [row(f"95 % interval of the {name} holds it", cell, 0.95, each) for name, each in held.items()]
    return found


def shares(corpus: Simulated) -> dict[str, Array]:
    return {
        "share of utterances with an error": have_errors(corpus.errors)[0],
        "share worse than at another point": have_more_errors(corpus.errors, 1)[0],
    }


def latency_rows(n: int) -> list[dict[str, Any]]:
    """95 % intervals of the 99th percentile of latency, speakers differing less than their utterances do."""

    def times(rng: np.random.Generator, n_speakers: int, each: int) -> Array:
        speaker = np.repeat(0.1 * rng.standard_normal(n_speakers), each)
        return np.asarray(np.exp(speaker + 0.5 * rng.standard_normal(n_speakers * each)))

    truth = float(np.quantile(times(np.random.default_rng(22), TRUTH_SPEAKERS, 10), 0.99))
    found = []
    for n_speakers, each in ((20, 20), (28, 20), (60, 20), (120, 10)):
        rng = np.random.default_rng([n_speakers, each, 23])
        held = []
        for seed in range(n):
            speakers = [str(s) for s in np.repeat(np.arange(n_speakers), each)]
            resample = draw_blocks(speakers, n_replicates=REPLICATES, seed=seed)
            (interval,) = intervals(resample_quantile(times(rng, n_speakers, each)[None], 0.99, resample))
            held.append(interval.contains(truth))
        cell = f"{n_speakers * each} utterances of {n_speakers} speakers"
        found.append(row("95 % interval of the 99th percentile of latency holds it", cell, 0.95, held))
    return found


def group_rows(n: int) -> list[dict[str, Any]]:
    """A point whose worst group truly exceeds the limit by a thousandth is not let through."""
    found = []
    for cell, factor in GROUP_FACTORS.items():
        for loops in (0.0, LOOPS):
            for n_speakers in (8, 12, 28):
                rng = np.random.default_rng([n_speakers, bool(loops), round(10 * factor), 24])
                truth = worst_truth(factor, loops)
                held, refused = [], 0
                for seed in range(n):
                    corpus = worsened(simulate(RATES[:1], n_speakers, rng, loops=loops), factor, rng)
                    resample = draw_blocks(corpus.speakers, n_replicates=REPLICATES, seed=seed)
                    if not enough_speakers(resample.effective_blocks):
                        refused += 1
                        continue
                    groups = find_groups("duration", corpus.speakers, corpus.words, corpus.words * 0.4, None)
                    worst = {"worst": resample_worst(corpus.errors, corpus.words, groups, resample)}
                    held.append(not keep_limits(worst, {"worst": truth * 0.999}, CONFIDENCE).kept[0])
                where = f"{cell}, {n_speakers} speakers" + (", rare loops" if loops else "")
                found.append(row("recommend --worst-group --confidence: the limit is kept", where, CONFIDENCE, held))
    return found


def worsened(corpus: Simulated, factor: float, rng: np.random.Generator) -> Simulated:
    """The corpus with more errors in its short utterances: of Poisson counts, so that the rate grows by the factor."""
    short = corpus.words <= np.quantile(corpus.words, 1 / 3)
    more = rng.poisson(np.where(short, (factor - 1) * corpus.words * RATES[0], 0.0))
    return Simulated(corpus.speakers, corpus.words, corpus.errors + more, corpus.truth)


def worst_truth(factor: float, loops: float) -> float:
    """The true rate of the worst third by duration."""
    rng = np.random.default_rng(25)
    corpus = worsened(simulate(RATES[:1], TRUTH_SPEAKERS, rng, loops=loops), factor, rng)
    groups = find_groups("duration", corpus.speakers, corpus.words, corpus.words * 0.4, None)
    members = groups.members.astype(np.float64)
    return float((corpus.errors[0] @ members.T / (members @ corpus.words)).max())


if __name__ == "__main__":
    main()
