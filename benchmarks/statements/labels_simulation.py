"""Simulated runs relative to a big model, of known true error rates, and what a few human transcripts say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from allophone.errors import UsageError
from allophone.guarantee.limits import LEAST_SPEAKERS, keep_limits
from allophone.labels.estimate import estimate_error_rates
from allophone.labels.sampling import inclusion_probabilities, priorities, sample_sizes
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio
from allophone.measure.intervals import Interval, intervals
from allophone.measure.linearised import resample_linearised

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

LEVEL = 0.95
WORDS = (4, 36)  # of an utterance: from 4 to 35
SPEAKER_SIZE, SIZE_SPREAD = 30, 0.8  # utterances of a speaker: log-normal, so that few speakers have most of them
SPEAKER_SPREAD, UTTERANCE_SPREAD = 0.5, 0.8  # standard deviations of how hard they are, around 1
POINTS = ((0.10, 0.5), (0.07, 0.6), (0.075, 0.3), (0.075, 0.7))  # rate; share of common errors that are the same word
BIG_MODELS = {"good": 0.04, "bad": 0.12}  # word error rate of the model whose transcripts stand in


@dataclass(frozen=True)
class Corpus:
    """One simulated run.

    Args:
        speakers: Of every utterance, shape (n_utterances,).
        words: That were said, shape (n_utterances,).
        imputed_words: Of the big model's transcripts, shape alike.
        errors: Of every point against what was said, shape (n_points, n_utterances).
        imputed_errors: Against the big model's transcripts, shape alike.
    """

    speakers: Ints
    words: Array
    imputed_words: Array
    errors: Array
    imputed_errors: Array


def simulate(n_speakers: int, big_model: float, rng: np.random.Generator, mean_size: float = SPEAKER_SIZE) -> Corpus:
    """Draw one corpus: what is hard is hard for the points and for the big model alike.

    A point gets a word wrong more often where the big model does, and then sometimes with the same wrong word, which
    counts as no error against the big model's transcript.
    """
    sizes = np.maximum(3, np.round(mean_size * rng.lognormal(-(SIZE_SPREAD**2) / 2, SIZE_SPREAD, n_speakers)))
    of = np.repeat(np.arange(n_speakers), sizes.astype(np.intp))
    words = rng.integers(*WORDS, len(of))
    hard = gamma(SPEAKER_SPREAD, n_speakers, rng)[of] * gamma(UTTERANCE_SPREAD, len(of), rng)
    by_big = np.minimum(0.9, big_model * hard)
    wrong = rng.binomial(words, by_big)
    heard = np.maximum(0, words + rng.binomial(wrong, 0.1) - rng.binomial(wrong, 0.1))
    errors, imputed = [], []
    for rate, same in POINTS:
        by_point = np.minimum(0.9, rate * hard)
        with_big = np.minimum(0.95, 3 * by_point + 0.3)
        alone = rng.binomial(words - wrong, np.maximum(0, (by_point - by_big * with_big) / (1 - by_big)))
        common = rng.binomial(wrong, with_big)
        errors.append(alone + common)
        imputed.append(alone + wrong - rng.binomial(common, same))
    return Corpus(of, words.astype(float), heard.astype(float), np.array(errors, float), np.array(imputed, float))


def gamma(spread: float, size: int, rng: np.random.Generator) -> Array:
    """Positive numbers of mean 1 and the given standard deviation."""
    return rng.gamma(1 / spread**2, spread**2, size)


@lru_cache(maxsize=8)
def true_rates(big_model: float) -> tuple[float, ...]:
    """Expected errors per word of every point, over 100,000 speakers."""
    rng = np.random.default_rng(12345)
    errors, words = np.zeros(len(POINTS)), 0.0
    for _ in range(25):
        corpus = simulate(4000, big_model, rng, mean_size=8)
        errors += corpus.errors.sum(axis=1)
        words += corpus.words.sum()
    return tuple((errors / words).tolist())


@dataclass(frozen=True)
class Answer:
    """What the package states of one corpus.

    Args:
        rates: Interval of every point's word error rate.
        chosen: Index of the point of the lowest estimate.
        chosen_rate: Its interval, the choice included.
        kept: Points that keep a limit on the error rate with the level as confidence, by limit.
        differences: Interval of every point's rate minus the chosen one's.
    """

    rates: tuple[Interval, ...]
    chosen: int
    chosen_rate: Interval
    kept: dict[float, list[bool]]
    differences: tuple[Interval, ...]


def answer(
    speakers: Ints,
    words: Array,
    errors: Array,
    imputed_words: Array,
    imputed_errors: Array,
    disagreements: Array,
    budget: int,
    seed: int,
    n_replicates: int,
    limits: Sequence[float],
) -> Answer | None:
    """Draw a sample of ``budget`` transcripts and state what the package states; None where it refuses to.

    Args:
        speakers: Of every utterance, shape (n_utterances,), as numbers.
        words: That were said, read only in the sample.
        errors: Of every point against what was said, shape (n_points, n_utterances), read only in the sample.
        imputed_words: Of the big model's transcripts.
        imputed_errors: Against the big model's transcripts.
        disagreements: Between the hypotheses of every utterance.
        budget: Size of the sample, or all utterances where they are fewer.
        seed: Of the draw and of the replicates.
        n_replicates: Of the interval.
        limits: On the error rate, for which points that keep them are sought.
    """
    sizes = sample_sizes(disagreements, imputed_words)
    order = priorities([str(place) for place in range(len(words))], sizes, seed)
    budget = min(budget, len(words))  # few small speakers may have fewer utterances
    sample = np.argsort(order)[:budget]
    resample = draw_blocks([str(speaker) for speaker in speakers], n_replicates=n_replicates, seed=seed)
    try:
        found = estimate_error_rates(
            imputed_errors,
            imputed_words,
            sample,
            errors[:, sample],
            words[sample],
            inclusion_probabilities(order, sizes, budget)[sample],
            resample.blocks,
        )
    except UsageError:  # all drawn are of one speaker
        return None
    chosen = int(found.estimates.argmin())
    replicates = resample_linearised(found, resample)
    allowance = resample_ratio(imputed_errors, imputed_words, resample).allowance
    limited = replace(replicates, allowance=allowance)
    enough = len(np.unique(speakers)) >= LEAST_SPEAKERS
    return Answer(
        intervals(replicates, LEVEL),
        chosen,
        intervals(resample_linearised(found, resample, simultaneous=True), LEVEL)[chosen],
        {
            limit: keep_limits({"wer": limited}, {"wer": limit}, LEVEL).kept.tolist()
            for limit in (limits if enough else ())
        },
        intervals(resample_linearised(found.difference(chosen), resample), LEVEL),
    )


def answer_corpus(corpus: Corpus, budget: int, seed: int, n_replicates: int, limits: Sequence[float]) -> Answer | None:
    """State what the package states of a simulated corpus; disagreement is in counts, since there are no words."""
    spread = np.abs(corpus.imputed_errors[:, None] - corpus.imputed_errors[None]).mean(axis=(0, 1))
    return answer(
        corpus.speakers,
        corpus.words,
        corpus.errors,
        corpus.imputed_words,
        corpus.imputed_errors,
        corpus.imputed_errors.mean(axis=0) + spread,
        budget,
        seed,
        n_replicates,
        limits,
    )


def hard_limits(truth: tuple[float, ...]) -> tuple[float, ...]:
    """A limit that half the points break, one of them by a hair."""
    return (0.999 * sorted(truth)[len(truth) // 2],)


def held(found: Answer | None, truth: tuple[float, ...]) -> dict[str, list[bool]]:
    """Whether each statement holds, by statement; nothing where nothing was stated.

    ``decision`` is that a point called worse than the chosen one is worse, where the interval of their difference lies
    above zero.
    """
    if found is None:
        return {}
    apart = [
        (interval, truth[point] - truth[found.chosen])
        for point, interval in enumerate(found.differences)
        if point != found.chosen
    ]
    decided = [difference > 0 for interval, difference in apart if interval.low > 0]
    broken = [any(keeps and truth[k] > limit for k, keeps in enumerate(kept)) for limit, kept in found.kept.items()]
    return {
        "WER interval of a point": [found.rates[0].contains(truth[0])],
        "WER interval of the chosen point, the choice included": [found.chosen_rate.contains(truth[found.chosen])],
        "interval of a difference to the chosen point": [interval.contains(value) for interval, value in apart],
        "all points called worse than the chosen one are worse": [all(decided)],
    } | ({"no point let through breaks a WER limit": [not one for one in broken]} if broken else {})
