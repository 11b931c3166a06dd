"""Whether certified limits hold on simulated corpora, how often anything can be certified, and what that costs.

Corpora have 5 to 500 speakers with three utterances each, or log-normally many; some speakers are far harder than
others, in some corpora a few utterances end in a repetition loop, and in some a few speakers are lost entirely and all
others have no error, which is the hardest to tell from no error at all. One of the points lies exactly at the limit,
those before it are better, those behind it worse: letting that one through breaks the promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import pdtr

from allophone.arrays import FloatArray, IntArray
from allophone.guarantee.certificate import RATES, CertifiedLimit, SpeakerLosses, most_counted, pass_in_sequence
from allophone.guarantee.limits import keep_limits
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio
from allophone.records.point import OperatingPoint
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import markdown_table, stamp_line, write_result

CONFIDENCE = 0.95
CORPORA = sized(1000, 4)
COMPARED = sized(50, 2)  # corpora on which the bootstrap is asked too
SPEAKERS = sized((5, 8, 12, 28, 125, 500), (8,))
POINTS = sized((1, 12, 48), (1, 12))
WORDS = (5, 36)  # of an utterance: from 5 to 35
WORDS_PER_S = 2.8
UTTERANCES = 3
LOOPS = 0.01  # share of utterances
LOOP_WORDS = (50, 220)
DEAREST, CHEAPEST = 0.03, 0.3  # word error rates
CHEAPER = 16.0  # times, the cheapest point
BASE = OperatingPoint(model="tiny.en")
KEPT = "kept by the bootstrap (wer_clipped)"
OVER_KEPT, OVER_MEASURED = "times dearer than kept", "times dearer than as measured"


@dataclass(frozen=True)
class Cell:
    """One kind of corpus.

    Args:
        n_speakers: Speakers.
        unequal: Whether speakers have log-normally many utterances.
        loops: Whether some utterances end in a loop.
        n_points: Points, dear to cheap.
        lost: Whether speakers have as many errors as can be or none.
    """

    n_speakers: int
    unequal: bool
    loops: bool
    n_points: int
    lost: bool = False

    @property
    def rates(self) -> FloatArray:
        """Word error rates without loops; chances that a speaker is lost."""
        if self.lost:  # at the limit, so many speakers as these are all heard well in 2.4 % of corpora
            at_limit = 1 - 0.024 ** (1 / self.n_speakers)
            steps = np.arange(self.n_points) - self.at_limit
            return np.asarray(np.minimum(at_limit * 2.0 ** (steps / max(1, self.n_points // 6)), 0.9))
        return np.geomspace(DEAREST, CHEAPEST, self.n_points) if self.n_points > 1 else np.array([0.1])

    @property
    def at_limit(self) -> int:
        """The point that lies at the limit."""
        return 2 * self.n_points // 3

    def __str__(self) -> str:
        sizes = "unequal" if self.unequal else "equal"
        loops = ", rare loops" if self.loops else ", lost speakers" if self.lost else ""
        return f"{self.n_speakers} speakers, {sizes}{loops}, {self.n_points} point{'s' if self.n_points > 1 else ''}"


def main() -> None:
    """Write ``docs/results/statements_certified.json``."""
    begin(command_line(__doc__))
    rows: list[dict[str, Any]] = []
    powers: list[dict[str, Any]] = []
    hard = hardness()
    for n_points in POINTS[:2]:
        for n_speakers in SPEAKERS:
            cell = Cell(n_speakers, unequal=False, loops=False, n_points=n_points, lost=True)
            found = simulate(cell, lost_expectations(cell))
            rows += found[0]
            powers.append(found[1])
    for n_points in POINTS:
        for loops in (False, True):
            expected = expectations(Cell(5, unequal=False, loops=loops, n_points=n_points), hard)
            for n_speakers in SPEAKERS:
                for unequal in (False, True) if n_points < 48 else (loops,):
                    cell = Cell(n_speakers, unequal, loops, n_points)
                    found = simulate(cell, expected)
                    rows += found[0]
                    powers.append(found[1])
    settings = {
        "confidence": CONFIDENCE,
        "corpora": CORPORA,
        "compared": COMPARED,
        "utterances a speaker": UTTERANCES,
        "word error rates": [DEAREST, CHEAPEST],
        "limit": "the true rate of the point two thirds of the way to the cheapest",
        "cost": f"falls geometrically to 1/{CHEAPER:g} of the dearest point's",
    }
    write_result("statements_certified", settings, {"rows": rows, "power": powers}, page(rows, powers))


def page(rows: list[dict[str, Any]], powers: list[dict[str, Any]]) -> str:
    """Return the page: how often limits held at the least, and what can be certified."""
    least = [
        (name, f"{100 * min(row['held'] for row in rows if row['statement'] == f'certified {name}'):.1f} %")
        for name in RATES
    ]
    lines = [
        (
            power["cell"],
            *(f"{100 * power['certified'][name]:.0f} %" for name in RATES),
            *(
                "" if power.get(key) is None else f"{scale * power[key]:.{digits}f}{unit}"
                for key, scale, digits, unit in ((KEPT, 100, 0, " %"), (OVER_KEPT, 1, 2, ""), (OVER_MEASURED, 1, 2, ""))
            ),
        )
        for power in powers
    ]
    columns = ("corpora", *RATES, "kept by the bootstrap", "cost over that", "cost over as measured")
    return "\n\n".join(
        [
            "# Certified limits: do they hold, and what can be certified?",
            "Written by `benchmarks/statements/statements_certified.py`: "
            f"{CORPORA} corpora per row, a point exactly at the "
            f"limit, confidence {CONFIDENCE:g}. A certified limit must not break more often than in "
            f"{100 * (1 - CONFIDENCE):.0f} % of corpora; it held at the least in:",
            markdown_table(("rate", "held at the least"), least),
            "How often anything is certified where the dearest of several points is far better than the limit. A "
            "single point lies at the limit itself and must not be certified. The last three columns are of "
            "`wer_clipped`: how often the bootstrap lets something through at the same confidence, and how many times "
            "dearer the certified choice is than that one and than the choice as measured. A token can be twelve "
            "words, so the true rate (`wer`) takes thousands of speakers.",
            markdown_table(columns, lines),
            stamp_line(),
        ]
    )


def hardness() -> FloatArray:
    """Products of what speakers, utterances and points contribute to how hard an utterance is, mean 1."""
    rng = np.random.default_rng(0)
    n = 20_000
    drawn = gamma(rng, n) * gamma(rng, n) * own(rng, n)
    result: FloatArray = drawn / drawn.mean()
    return result


def gamma(rng: np.random.Generator, size: int | tuple[int, ...]) -> FloatArray:
    """Positive numbers of mean 1 and standard deviation 0.6."""
    return rng.gamma(1 / 0.36, 0.36, size)


def own(rng: np.random.Generator, size: int | tuple[int, ...]) -> FloatArray:
    """How hard a speaker is for one point more than for others: mean 1."""
    return np.exp(0.15 * rng.standard_normal(size) - 0.15**2 / 2)


def expectations(cell: Cell, hard: FloatArray) -> dict[str, FloatArray]:
    """Expected counts of an utterance by rate, point and number of words, shape (n_points, WORDS[1])."""
    found = {name: np.zeros((cell.n_points, WORDS[1])) for name in RATES}
    share = LOOPS if cell.loops else 0.0
    inserted = np.arange(*LOOP_WORDS)
    for words in range(*WORDS):
        cap = float(most_of("wer_capped", np.array([float(words)]))[0])
        for k, rate in enumerate(cell.rates):
            mean = words * rate * hard
            found["wer"][k, words] = words * rate + share * inserted.mean()
            found["wer_clipped"][k, words] = (1 - share) * clipped(mean, words).mean() + share * words
            found["error_share"][k, words] = 1 - (1 - share) * np.exp(-mean).mean()
            looped = 0.0
            if share:
                looped = float(
                    np.mean([cap if n >= cap else n + clipped(mean[:500], cap - n).mean() for n in inserted])
                )
            found["wer_capped"][k, words] = (1 - share) * clipped(mean, cap).mean() + share * looped
    return found


def lost_expectations(cell: Cell) -> dict[str, FloatArray]:
    """As :func:`expectations`, where speakers are lost or have no error."""
    words = np.arange(WORDS[1], dtype=np.float64)
    return {name: cell.rates[:, None] * most_of(name, words) for name in RATES}


def clipped(mean: FloatArray, most: float) -> FloatArray:
    """Expectation of a Poisson number clipped at ``most``."""
    below = pdtr(most - 2, mean) if most >= 2 else np.zeros_like(mean)
    value: FloatArray = mean * below + most * (1 - pdtr(most - 1, mean))
    return value


def most_of(name: str, words: FloatArray) -> FloatArray:
    """Most that utterances can count."""
    return most_counted(RATES[name], BASE, words, words / WORDS_PER_S, "english")


def simulate(cell: Cell, expected: dict[str, FloatArray]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of a cell, and how much can be certified in it."""
    rng = np.random.default_rng((cell.n_speakers, cell.unequal, cell.loops, cell.n_points))
    broken, passed = dict.fromkeys(RATES, 0), dict.fromkeys(RATES, 0)
    costs = CHEAPER ** -np.linspace(0, 1, cell.n_points)
    dearer: dict[str, list[float]] = {"kept": [], "measured": []}
    kept_at_all = 0
    shares = [1 - CONFIDENCE, *[0.0] * (cell.n_points - 1)]
    for place in range(CORPORA):
        speakers, words, errors = corpus(cell, rng)
        truths = {name: truth(name, expected[name], speakers, words) for name in RATES}
        cheapest = {}
        for name, rate in RATES.items():
            limit = CertifiedLimit(rate, float(truths[name][cell.at_limit]))
            most = np.broadcast_to(most_of(name, words), errors.shape)
            evidence = SpeakerLosses.of(limit, errors, words, most, speakers).e_values()
            found = np.flatnonzero(pass_in_sequence(evidence.tolist(), shares))
            if found.size:
                passed[name] += 1
                cheapest[name] = int(found[-1])
                broken[name] += bool((truths[name][found] >= limit.value - 1e-12).any())
        if place < COMPARED and cell.n_points > 1:
            limit_value = float(truths["wer_clipped"][cell.at_limit])
            counted = np.minimum(errors, words)
            resampled = {
                "wer": resample_ratio(counted, words, draw_blocks([str(s) for s in speakers], n_replicates=500))
            }
            kept = np.flatnonzero(keep_limits(resampled, {"wer": limit_value}, CONFIDENCE).kept)
            measured = np.flatnonzero(counted.sum(axis=1) <= limit_value * words.sum())
            kept_at_all += bool(kept.size)
            if "wer_clipped" in cheapest:
                price = costs[cheapest["wer_clipped"]]
                dearer["kept"] += [price / costs[kept[-1]]] if kept.size else []
                dearer["measured"] += [price / costs[measured[-1]]] if measured.size else []
    rows = []
    for name in RATES:
        held = 1 - broken[name] / CORPORA
        error = float(np.sqrt(held * (1 - held) / CORPORA))
        rows.append(
            {
                "statement": f"certified {name}",
                "cell": str(cell),
                "stated": CONFIDENCE,
                "held": held,
                "standard_error": error,
                "simulations": CORPORA,
            }
        )
    power: dict[str, Any] = {
        "cell": str(cell),
        "certified": {name: passed[name] / CORPORA for name in RATES},
    }
    if cell.n_points > 1:
        power[KEPT] = kept_at_all / COMPARED
        power[OVER_KEPT] = mean_of(dearer["kept"])
        power[OVER_MEASURED] = mean_of(dearer["measured"])
    return rows, power


def corpus(cell: Cell, rng: np.random.Generator) -> tuple[IntArray, FloatArray, FloatArray]:
    """Speaker and words of every utterance, and the errors of every point, shape (n_points, n_utterances)."""
    each = np.full(cell.n_speakers, UTTERANCES)
    if cell.unequal:
        each = np.maximum(1, np.round(UTTERANCES * rng.lognormal(-0.32, 0.8, cell.n_speakers))).astype(np.intp)
    speakers = np.repeat(np.arange(cell.n_speakers), each)
    words = rng.integers(*WORDS, len(speakers)).astype(np.float64)
    if cell.unequal:  # some speak in short utterances only
        short = rng.random(cell.n_speakers) < 0.3
        words = np.where(short[speakers], np.minimum(words, 12.0), words)
    if cell.lost:
        lost = (rng.random((cell.n_points, cell.n_speakers)) < cell.rates[:, None])[:, speakers]
        return speakers, words, lost * most_of("wer", words)
    hard = gamma(rng, cell.n_speakers)[speakers] * gamma(rng, len(speakers))
    harder = own(rng, (cell.n_points, cell.n_speakers))[:, speakers]
    errors = rng.poisson(cell.rates[:, None] * (words * hard) * harder).astype(np.float64)
    if cell.loops:
        looped = rng.random(errors.shape) < LOOPS
        errors += np.where(looped, rng.integers(*LOOP_WORDS, errors.shape), 0)
        errors = np.minimum(errors, most_of("wer", words))
    return speakers, words, errors


def truth(name: str, expected: FloatArray, speakers: IntArray, words: FloatArray) -> FloatArray:
    """What a limit on a rate limits, of every point, for speakers who say as much as these."""
    counts = np.bincount(speakers)
    above = np.stack([np.bincount(speakers, row) for row in expected[:, words.astype(np.intp)]]) / counts
    if name == "error_share":
        return np.asarray(above.mean(axis=1))
    return np.asarray(above.sum(axis=1) / (np.bincount(speakers, words) / counts).sum())


def mean_of(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


if __name__ == "__main__":
    main()
