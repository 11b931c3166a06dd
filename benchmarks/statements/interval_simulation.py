"""Simulated corpora of known error rates, and how often and how widely the intervals of the bootstrap cover them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import Replicates, resample_ratio, resample_ratio_difference
from allophone.measure.intervals import intervals

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

LEVEL = 0.95
WORDS = (5, 36)  # of an utterance: from 5 to 35
GREATEST = (1.5, 2.0, 2.5, 3.0)
LOOP_WORDS = (50, 220)  # that a repetition loop inserts
SIZES = ("equal", "unequal", "very unequal", "two each")
CASES = (
    *("normal rate", "rate", "difference", "sparse difference"),
    *("loops 2 %", "loops 5 %", "loops 10 %", "loops 2 % in both"),
)


RATES = ("normal rate", "rate")


@dataclass(frozen=True)
class Corpora:
    """Corpora of one layout, which differ in their errors.

    Args:
        speakers: Of every utterance, shape (n_utterances,).
        words: Reference words of every utterance, shape (n_utterances,).
        errors: Or differences of errors between two points, shape (n_corpora, n_utterances).
        truth: The expected errors over the reference words.
    """

    speakers: Ints
    words: Ints
    errors: Array
    truth: float


def simulate(case: str, sizes: str, n_speakers: int, n_corpora: int, rng: np.random.Generator) -> Corpora:
    """Draw corpora of one layout.

    Rates are Poisson around ``words · 0.12 · speaker · utterance``, the last two gamma of mean 1 and standard deviation
    0.6: some speakers are far harder than others. A difference is between two such points that find the same speakers
    and utterances hard. Sparse differences are zero in most utterances. Loops insert words in few utterances of one
    point (or of both), hence in hardly any speaker, beside errors that differ by chance.
    """
    of = np.repeat(np.arange(n_speakers), utterances_each(sizes, n_speakers, rng))
    words = rng.integers(*WORDS, len(of))
    shape = (n_corpora, len(of))
    hard = gamma(0.6, (n_corpora, n_speakers), rng)[:, of] * gamma(0.6, shape, rng)
    few = rng.poisson(0.01 * words, shape) - rng.poisson(0.01 * words, shape)
    if case == "normal rate":
        spread = 0.03 * rng.standard_normal((n_corpora, n_speakers))[:, of] + 0.05 * rng.standard_normal(shape)
        return Corpora(of, words, words * (0.1 + spread), 0.1)
    if case == "rate":
        return Corpora(of, words, rng.poisson(words * 0.12 * hard).astype(float), 0.12)
    if case == "difference":
        own = gamma(0.25, (n_corpora, n_speakers), rng)[:, of]
        more = rng.poisson(words * 0.144 * hard * own) - rng.poisson(words * 0.12 * hard)
        return Corpora(of, words, more.astype(float), 0.024)
    if case == "sparse difference":
        return Corpora(of, words, few.astype(float), 0.0)
    share = float(case.split()[1]) / 100
    more = few + loops(share, shape, rng)
    if case.endswith("both"):
        return Corpora(of, words, (more - loops(share, shape, rng)).astype(float), 0.0)
    inserted = (LOOP_WORDS[0] + LOOP_WORDS[1] - 1) / 2
    return Corpora(of, words, more.astype(float), share * inserted * len(of) / float(words.sum()))


def utterances_each(sizes: str, n_speakers: int, rng: np.random.Generator) -> Ints:
    """Utterances of every speaker; unequal ones are log-normal around ten."""
    if sizes in {"equal", "two each"}:
        return np.full(n_speakers, 10 if sizes == "equal" else 2)
    spread = {"unequal": 0.8, "very unequal": 1.3}[sizes]
    return np.maximum(1, np.round(10 * rng.lognormal(-(spread**2) / 2, spread, n_speakers))).astype(np.intp)


def gamma(spread: float, size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Positive numbers of mean 1 and the given standard deviation."""
    return rng.gamma(1 / spread**2, spread**2, size)


def loops(share: float, size: tuple[int, int], rng: np.random.Generator) -> Ints:
    return (rng.random(size) < share) * rng.integers(*LOOP_WORDS, size)


def ends(replicates: Replicates) -> dict[str, tuple[Array, Array]]:
    """The ends of every corpus's interval, by method.

    ``shipped`` is what the package gives. ``studentised`` has no bounds, but for an infinite reach, which gives way to
    that of the widened replicates. ``at most`` so many times that of the widened replicates is the choice that was open
    for the bound, and ``percentile`` what a textbook would give.
    """
    assert replicates.pivots is not None
    assert replicates.standard_errors is not None
    found = intervals(replicates, LEVEL)
    low, high = np.quantile(replicates.values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    inflated = np.quantile(np.abs(replicates.inflated() - replicates.estimates), LEVEL, axis=0, method="higher")
    pivots = np.quantile(np.abs(plain_pivots(replicates)), LEVEL, axis=0, method="higher")
    with np.errstate(invalid="ignore"):  # 0 · inf
        free = np.fmax(pivots * replicates.standard_errors, 0.0)
    reaches = {"studentised": np.where(np.isfinite(free), free, inflated)}
    reaches |= {
        f"at most {greatest:g} times": np.minimum(np.fmax(free, inflated), greatest * inflated) for greatest in GREATEST
    }
    return {
        "shipped": (np.array([one.low for one in found]), np.array([one.high for one in found])),
        "percentile": (low, high),
        **{name: (replicates.estimates - reach, replicates.estimates + reach) for name, reach in reaches.items()},
    }


def without_first(replicates: Replicates) -> Replicates:
    """All points but the first, which the others were compared with."""
    assert replicates.pivots is not None
    assert replicates.standard_errors is not None
    assert replicates.rates is not None
    return Replicates(
        replicates.resample,
        replicates.estimates[1:],
        replicates.values[:, 1:],
        replicates.standard_errors[1:],
        replicates.pivots[:, 1:],
        replicates.rates[1:],
        least=-np.inf,
    )


def plain_pivots(replicates: Replicates) -> Array:
    """The studentised deviations on the statistic itself, those of rates turned back from the logarithm."""
    assert replicates.pivots is not None
    assert replicates.rates is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = replicates.values / replicates.estimates
        plain = replicates.pivots * (ratio - 1) / (ratio * np.log(ratio))
    plain = np.where(replicates.values == 0, -np.inf, np.where(replicates.pivots == 0, 0.0, plain))
    return np.where(replicates.rates, plain, replicates.pivots)


def cover(
    case: str, sizes: str, n_speakers: int, *, n_layouts: int, n_corpora: int, n_replicates: int
) -> dict[str, dict[str, float]]:
    """Coverage and width of every method.

    Args:
        case: One of ``CASES``.
        sizes: One of ``SIZES``.
        n_speakers: Of every corpus.
        n_layouts: How many layouts (whose utterances, of how many words) are drawn.
        n_corpora: Of every layout.
        n_replicates: Of the bootstrap.

    Returns:
        By method: ``coverage``, the share of intervals that hold the truth; ``width`` and ``width_p95``, the median and
        the 95 % quantile of their widths, in units of the interval that knows the estimate's true spread and takes it
        for normal.
    """
    rng = np.random.default_rng([CASES.index(case), SIZES.index(sizes), n_speakers])
    held: dict[str, list[npt.NDArray[np.bool_]]] = {}
    widths: dict[str, list[Array]] = {}
    deviations = []
    for seed in range(n_layouts):
        corpora = simulate(case, sizes, n_speakers, n_corpora, rng)
        resample = draw_blocks([str(s) for s in corpora.speakers], n_replicates=n_replicates, seed=seed)
        if case in RATES:
            replicates = resample_ratio(corpora.errors, corpora.words, resample)
        else:
            both = np.concatenate([np.zeros_like(corpora.errors[:1]), corpora.errors])
            replicates = without_first(resample_ratio_difference(both, corpora.words, resample, reference=0))
        deviations.append(replicates.estimates - corpora.truth)
        for name, (low, high) in ends(replicates).items():
            held.setdefault(name, []).append((low <= corpora.truth) & (corpora.truth <= high))
            widths.setdefault(name, []).append(high - low)
    ideal = 2 * 1.96 * float(np.sqrt(np.mean(np.square(deviations))))
    return {
        name: {
            "coverage": float(np.mean(held[name])),
            "width": float(np.median(widths[name])) / ideal,
            "width_p95": float(np.quantile(widths[name], 0.95)) / ideal,
        }
        for name in held
    }
