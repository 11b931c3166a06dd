"""Whether what is said of points holds on new data: limits, verdicts, races and intervals, on simulated corpora.

Each cell draws corpora of known error rates, runs what a user runs (the choice among many points included), and asks
the truth. ``--runs`` asks real runs as well: choose on half of the speakers, judge on the other half.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from allophone.frontier.recognition import RecognitionSamples
from allophone.frontier.summarise import summarise_run
from allophone.frontier.uncertainty import assess_frontier
from allophone.guarantee.limits import enough_speakers, keep_limits
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import resample_mean, resample_ratio, resample_ratio_difference
from allophone.measure.intervals import intervals
from allophone.sweeps.race import judge, look_sizes
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import write_result

Array = npt.NDArray[np.float64]

REPLICATES = sized(1000, 200)
LIMIT = 0.10
LOOPS = 0.02  # share of utterances in which a point repeats itself
LOOP_WORDS = (20, 100)
CONFIDENCES = (0.9, 0.95)


@dataclass(frozen=True)
class Simulated:
    """One corpus of points with known error rates.

    Args:
        speakers: Of every utterance.
        words: Reference words, shape (n_utterances,).
        errors: Shape (n_points, n_utterances).
        truth: Expected errors over words, shape (n_points,).
    """

    speakers: list[str]
    words: Array
    errors: Array
    truth: Array


def simulate(
    rates: Array, n_speakers: int, rng: np.random.Generator, *, unequal: bool = False, loops: float = 0.0
) -> Simulated:
    """Draw a corpus: speakers of log-normal difficulty (0.65), gamma utterances, points that differ by speaker (0.15).

    Ten utterances per speaker, or log-normal around ten. Loops insert words in a few utterances of each point.
    """
    each = np.full(n_speakers, 10)
    if unequal:
        each = np.maximum(1, np.round(10 * rng.lognormal(-0.32, 0.8, n_speakers))).astype(np.intp)
    of = np.repeat(np.arange(n_speakers), each)
    words = rng.integers(4, 30, len(of)).astype(float)
    hard = np.exp(0.65 * rng.standard_normal(n_speakers) - 0.65**2 / 2)[of] * rng.gamma(2, 0.5, len(of))
    own = np.exp(0.15 * rng.standard_normal((len(rates), n_speakers)) - 0.15**2 / 2)[:, of]
    errors = rng.poisson(words * rates[:, None] * hard * own).astype(float)
    errors += (rng.random(errors.shape) < loops) * rng.integers(*LOOP_WORDS, errors.shape)
    inserted = loops * (LOOP_WORDS[0] + LOOP_WORDS[1] - 1) / 2 * len(of) / words.sum()
    return Simulated([str(s) for s in of], words, errors, rates + inserted)


def row(statement: str, cell: str, stated: float, held: list[bool], note: str = "") -> dict[str, Any]:
    """One line of the page of statements."""
    share = float(np.mean(held))
    found = {
        "statement": statement,
        "cell": cell,
        "stated": stated,
        "held": share,
        "standard_error": float(np.sqrt(share * (1 - share) / len(held))),
        "simulations": len(held),
    }
    print(f"{statement} | {cell} | {stated:g} | {share:.3f} | {len(held)}", flush=True)
    return found | ({"note": note} if note else {})


def limit_rows(n: int) -> list[dict[str, Any]]:
    """``recommend --confidence``: the cheapest point let through keeps the limit in truth.

    With one point, its true rate is a thousandth beyond the limit; with many they spread evenly on the logarithm from
    1.6 to 0.6 times the limit, from cheap to dear.
    """
    found = []
    for loops in (0.0, LOOPS):
        for unequal in (False, True):
            for n_speakers in (8, 12, 28):
                for n_points in (1, 12, 48):
                    rng = np.random.default_rng([n_speakers, n_points, unequal, bool(loops)])
                    held: dict[float, list[bool]] = {confidence: [] for confidence in CONFIDENCES}
                    refused = 0
                    for seed in range(n):
                        rates = np.geomspace(0.16, 0.06, n_points) if n_points > 1 else np.array([LIMIT])
                        corpus = simulate(rates, n_speakers, rng, unequal=unequal, loops=loops)
                        limit = LIMIT + float(corpus.truth[0] - rates[0]) - (LIMIT / 1000 if n_points == 1 else 0)
                        resample = draw_blocks(corpus.speakers, n_replicates=REPLICATES, seed=seed)
                        if not enough_speakers(resample.effective_blocks):  # as the command does
                            refused += 1
                            for confidence in CONFIDENCES:
                                held[confidence].append(True)
                            continue
                        resampled = {"wer": resample_ratio(corpus.errors, corpus.words, resample)}
                        for confidence in CONFIDENCES:
                            kept = np.flatnonzero(keep_limits(resampled, {"wer": limit}, confidence).kept)
                            held[confidence].append(not kept.size or bool(corpus.truth[kept[0]] <= limit))
                    sizes = "unequal" if unequal else "equal"
                    cell = f"{n_points} points, {n_speakers} speakers, {sizes}" + (", rare loops" if loops else "")
                    note = f"{100 * refused / n:.0f} % of these corpora are refused a promise." if refused else ""
                    found += [
                        row("recommend --confidence: the limit is kept", cell, confidence, held[confidence], note)
                        for confidence in CONFIDENCES
                    ]
    return found


def verdict_rows(n: int) -> list[dict[str, Any]]:
    """``dominated``: no point is so called wrongly where every dearer one is truly better by a hair."""
    found = []
    for loops in (0.0, LOOPS):
        for n_speakers in (5, 8, 12, 28):
            for n_points in (2, 12, 48):
                rng = np.random.default_rng([n_speakers, n_points, bool(loops), 1])
                each, any_ = [], []
                for seed in range(n):
                    rates = LIMIT * (1 - 1e-4 * np.arange(n_points))
                    corpus = simulate(rates, n_speakers, rng, loops=loops)
                    resample = draw_blocks(corpus.speakers, n_replicates=REPLICATES, seed=seed)
                    status = np.array(statuses(corpus, np.linspace(1, 8, n_points), resample))
                    each += (status != "dominated").tolist()
                    any_.append(not (status == "dominated").any())
                cell = f"{n_points} points, {n_speakers} speakers" + (", rare loops" if loops else "")
                found.append(row("dominated: a given point is not so called wrongly", cell, 0.95, each))
                found.append(row("dominated: no point is so called wrongly", cell, 0.90, any_))
    return found


def statuses(corpus: Simulated, cost: Array, resample: Resample) -> tuple[str, ...]:
    """Every point's status against a certain cost."""
    rates = resample_ratio(corpus.errors, corpus.words, resample)
    costs = resample_mean(np.repeat(cost[:, None], len(corpus.words), axis=1), resample)
    replicates = np.stack([rates.inflated(), costs.inflated()], axis=-1)
    estimates = np.stack([rates.estimates, costs.estimates], axis=-1)
    return assess_frontier(replicates, estimates, 0.95, 0.0, resample).status


def race_rows(n: int) -> list[dict[str, Any]]:
    """Races over 48 points as a grid has them, 28 speakers, judged by the whole corpus."""
    on = 0.105 * np.linspace(1, 8, 9) ** -0.35
    rates = np.concatenate([on, np.repeat(on, 5)[:39] * np.tile([1.05, 1.1, 1.2, 1.4, 1.6], 9)[:39]])
    cost = np.concatenate([np.linspace(1, 8, 9), np.repeat(np.linspace(1, 8, 9), 5)[:39] * 1.1])
    rng = np.random.default_rng(8)
    best_kept, least_kept, condemned, futile, spent = [], [], [], [], []
    for seed in range(n):
        corpus = simulate(rates, 28, rng)
        seconds = cost[:, None] * corpus.words * 0.4 * np.exp(0.1 * rng.standard_normal(corpus.errors.shape))
        gone, share = run_race(corpus, seconds, rng)
        spent.append(share)
        resample = draw_blocks(corpus.speakers, n_replicates=REPLICATES, seed=seed)
        errors = resample_ratio(corpus.errors, corpus.words, resample)
        times = resample_ratio(seconds, corpus.words * 0.4, resample)
        wer, rtf = errors.inflated(), times.inflated()
        alive = [k for k in range(len(rates)) if k not in gone]

        def shown_better(one: int, other: int, wer: Array = wer) -> bool:
            return bool(np.mean(wer[:, one] < wer[:, other]) >= 0.95)

        def survivor(k: int, gone: dict[int, tuple[bool, int]] = gone) -> int:
            while k in gone:
                k = gone[k][1]
            return k

        best, least = int(np.argmin(rates)), int(np.argmin(errors.estimates))
        best_kept.append(best not in gone or not shown_better(best, survivor(best)))
        nearest = min(alive, key=lambda k: errors.estimates[k])
        least_kept.append(least not in gone or not shown_better(least, nearest))
        for k, (tied, _) in gone.items():
            if tied:
                futile.append(not shown_better(k, survivor(k)))
            else:
                beaten = [(wer[:, i] <= wer[:, k]) & (rtf[:, i] <= rtf[:, k]) for i in alive]
                condemned.append(bool(np.mean(beaten, axis=1).max() >= 0.95))
    cell = f"48 points as in a grid, 28 speakers; {100 * np.mean(spent):.0f} % of the grid's time spent"
    found = [
        row("race: the truly best point survives, or the whole corpus does not show it better", cell, 0.95, best_kept),
        row("race: the least error on the whole corpus survives, or a point tied with it", cell, 1.0, least_kept),
        row("race: what is given up as futile is not shown better by the whole corpus", cell, 0.95, futile),
    ]
    if condemned:
        found.append(row("race: the whole corpus confirms what is condemned", cell, 0.95, condemned))
    return found


def run_race(corpus: Simulated, seconds: Array, rng: np.random.Generator) -> tuple[dict[int, tuple[bool, int]], float]:
    """Run a race as a sweep does; return why and for whom points were given up, and the share of time spent."""
    of = np.array([int(s) for s in corpus.speakers])
    n_speakers, n = int(of.max()) + 1, len(of)
    queues = [list(rng.permutation(np.flatnonzero(of == s))) for s in range(n_speakers)]
    order = np.array([queue[k] for k in range(max(map(len, queues))) for queue in queues if k < len(queue)])
    alive, gone, spent, before = list(range(len(seconds))), {}, 0.0, 0
    sizes = look_sizes(n)
    for size in sizes:
        spent += float(seconds[np.ix_(alive, order[before:size])].sum())
        before = size
        if size == n:
            break
        for one in judge(samples_of(corpus, seconds, alive, order[:size]), "rtf", len(sizes) - 1, n):
            gone[int(one.point)] = (one.tied, int(one.dominated_by))
        alive = [k for k in alive if k not in gone]
    return gone, spent / float(seconds.sum())


def samples_of(
    corpus: Simulated, seconds: Array, points: list[int], utterances: npt.NDArray[np.intp]
) -> RecognitionSamples:
    cells = np.ix_(points, utterances)
    return RecognitionSamples(
        points=tuple(map(str, points)),
        utterances=tuple(map(str, utterances)),
        speakers=tuple(corpus.speakers[i] for i in utterances),
        words=corpus.words[utterances],
        duration_s=corpus.words[utterances] * 0.4,
        errors=corpus.errors[cells],
        latency_s=seconds[cells],
        executed_flops=seconds[cells],
        published_flops=seconds[cells],
        peak_memory_bytes=np.full((len(points), len(utterances)), np.nan),
    )


def interval_rows(n: int) -> list[dict[str, Any]]:
    """95 % intervals of rates and of differences hold the truth; the upper end alone is exceeded in 2.5 %."""
    found = []
    for loops in (0.0, LOOPS):
        for unequal in (False, True):
            for n_speakers in (5, 8, 12, 28):
                rng = np.random.default_rng([n_speakers, unequal, bool(loops), 2])
                inside, below, apart, trusted = [], [], [], []
                for seed in range(n):
                    corpus = simulate(np.array([0.10, 0.09]), n_speakers, rng, unequal=unequal, loops=loops)
                    resample = draw_blocks(corpus.speakers, n_replicates=REPLICATES, seed=seed)
                    rates = resample_ratio(corpus.errors, corpus.words, resample)
                    first = intervals(rates)[0]
                    inside.append(first.contains(float(corpus.truth[0])))
                    below.append(bool(corpus.truth[0] <= first.high))
                    change = intervals(resample_ratio_difference(corpus.errors, corpus.words, resample, 0))[1]
                    apart.append(change.contains(float(corpus.truth[1] - corpus.truth[0])))
                    if not rates.concentrated[0]:
                        trusted.append(inside[-1])
                cell = f"{n_speakers} speakers, {'unequal' if unequal else 'equal'}" + (", rare loops" if loops else "")
                note = ""
                if len(trusted) < n:
                    share = 100 * (1 - len(trusted) / n)
                    note = (
                        f"{share:.0f} % of these corpora are flagged, since one speaker makes over half of the errors; "
                        f"of the others {100 * float(np.mean(trusted)):.1f} % hold."
                    )
                found.append(row("95 % interval of a WER holds it", cell, 0.95, inside, note))
                found.append(row("upper end of a WER's 95 % interval is not exceeded", cell, 0.975, below))
                found.append(row("95 % interval of a WER difference holds it", cell, 0.95, apart))
    return found


def real_rows(folders: list[Path], n: int) -> list[dict[str, Any]]:
    """Real runs: choose on half of the speakers, judge on the other half; a limit between the points' rates."""
    found = []
    for folder in folders:
        samples = summarise_run(folder).samples
        speakers = np.array([str(s) for s in samples.speakers])
        names = np.unique(speakers)
        rates = samples.errors.sum(axis=1) / samples.words.sum()
        cost = samples.executed_flops.mean(axis=1)
        order = np.argsort(cost)
        limit = float(np.median(rates))
        rng = np.random.default_rng(0)
        held: dict[str, list[bool]] = {"chosen with confidence": [], "as measured": []}
        answered = 0
        for seed in range(n):
            half = np.isin(speakers, rng.permutation(names)[: len(names) // 2])
            resample = draw_blocks(speakers[half].tolist(), n_replicates=REPLICATES, seed=seed)
            resampled = {"wer": resample_ratio(samples.errors[:, half], samples.words[half], resample)}
            other = resample_ratio(
                samples.errors[:, ~half], samples.words[~half], draw_blocks(speakers[~half].tolist(), n_replicates=2)
            ).estimates
            kept = keep_limits(resampled, {"wer": limit}, 0.9).kept[order]
            met = (resampled["wer"].estimates <= limit)[order]
            answered += bool(kept.any())
            for name, let in (("chosen with confidence", kept), ("as measured", met)):
                held[name].append(not let.any() or bool(other[order][np.argmax(let)] <= limit))
        halves = f"{len(names) // 2} of {len(names)} speakers"
        cell = f"{folder.name}: {len(rates)} points, {halves}, limit {100 * limit:.1f} %"
        plain = 100 * float(np.mean(held["as measured"]))
        note = (
            f"The other half is a sample too, whose WER moves by itself; {100 * answered / n:.0f} % of halves let a "
            f"point through. Chosen as measured, without confidence, the limit is kept in {plain:.1f} %."
        )
        found.append(
            row(
                "recommend --confidence on real speech: the other half keeps the limit",
                cell,
                0.9,
                held["chosen with confidence"],
                note,
            )
        )
    return found


PARTS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "limits": limit_rows,
    "verdicts": verdict_rows,
    "races": race_rows,
    "intervals": interval_rows,
}


def main() -> None:
    """Run every simulation and write its rows."""
    parser = command_line(__doc__)
    parser.add_argument(
        "--simulations", type=int, default=sized(1000, 2), help="Corpora per cell; a fifth of them for races."
    )
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="Real runs to ask too.")
    asked = begin(parser)
    for part in asked.parts:
        n = asked.simulations if part != "races" else max(1, asked.simulations // 5)
        rows = PARTS[part](n)
        write_result(f"statements_{part}", {"replicates": REPLICATES, "corpora": n}, {"rows": rows})
    if asked.runs:
        rows = real_rows(asked.runs, asked.simulations)
        settings = {"replicates": REPLICATES, "splits": asked.simulations, "runs": [run.name for run in asked.runs]}
        write_result("statements_real_points", settings, {"rows": rows})


if __name__ == "__main__":
    main()
