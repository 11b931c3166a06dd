"""Certified limits: what is promised, what bounds a speaker's loss, and which of many points pass.

A limit ``a`` on an error rate is one on an expectation of losses, ``E[errors - a · words] <= 0`` (a linear expectation
constraint, arXiv 2512.01556). The loss of a speaker is the mean of ``errors - a · words`` over his utterances. Speakers
are taken for independent of each other, what one speaker's utterances have in common is arbitrary (hierarchical
exchangeability, arXiv 2306.06342), and so is how errors are distributed. What is certified, with at least the stated
probability over corpora of this size, is a limit on

    sum over speakers of E[errors per utterance] / sum over speakers of words per utterance,

the expectation for speakers who say as much as those heard did. Every speaker counts by the mean length of his
utterances and not by their number, which is what the corpus error rate adds; the two agree where speakers have equally
many utterances.

Errors of an utterance are bounded before they are counted. An alignment of ``w`` reference words with ``h`` recognised
ones has at most ``max(w, h)`` errors (the edit distance pairs all words of the shorter text), and the decoder's cap on
text tokens bounds ``h`` (:mod:`allophone.transcription.longest_transcript`). A token seldom has more than one word, but
the normaliser can make several of it: ``gonna`` is two words in Whisper's English one, ``Imma`` four, and eight
ellipses in one token are twelve lone full stops. ``WORDS_PER_TOKEN`` holds the most over Whisper's vocabularies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.errors import SpaceError
from allophone.guarantee.betting import Stakes, e_values, set_stakes
from allophone.records.point import OperatingPoint
from allophone.transcription.longest_transcript import most_text_tokens, pass_text_tokens

__all__ = [
    "ASSUMPTION",
    "RATES",
    "WORDS_PER_TOKEN",
    "CertifiedLimit",
    "Rate",
    "SpeakerLosses",
    "counted_errors",
    "most_counted",
    "pass_in_sequence",
    "read_limit",
]

WORDS_PER_TOKEN = {"none": 1, "basic": 4, "english": 12, "characters": 64}

ASSUMPTION = (
    "Speakers are independent of each other; utterances of one speaker may depend on each other in any way, and errors "
    "may be distributed in any way."
)


@dataclass(frozen=True, slots=True)
class Rate:
    """An error rate that can be certified.

    Args:
        name: What a limit calls it.
        title: What people read.
        counted: What of an utterance is counted.
        bound: Why that is bounded before it is counted.
        clipped: Whether what is counted ends at the bound; else it never reaches beyond.
        by_words: Whether it is counted over reference words; else over utterances.
    """

    name: str
    title: str
    counted: str
    bound: str
    clipped: bool = False
    by_words: bool = True

    @property
    def estimand(self) -> str:
        """What exactly a limit on it limits."""
        if not self.by_words:
            return f"expected share of a speaker's {self.counted}, averaged over speakers"
        return (
            f"expected {self.counted} over reference words, both averaged over each speaker's utterances and then over "
            "speakers who say as much as those heard (in a corpus rate, speakers with more utterances count more)"
        )


RATES = {
    rate.name: rate
    for rate in (
        Rate(
            "wer",
            "word error rate",
            "word errors",
            "an utterance has at most as many errors as its reference has words, or its transcript by the decoder's "
            "cap on text tokens",
        ),
        Rate(
            "wer_capped",
            "capped word error rate",
            "word errors (of an utterance at most its reference words, or the text tokens that one pass may write)",
            "an utterance counts no more than that",
            clipped=True,
        ),
        Rate(
            "wer_clipped",
            "clipped word error rate",
            "word errors (of an utterance at most its reference words)",
            "an utterance counts no more than that",
            clipped=True,
        ),
        Rate(
            "error_share",
            "share of utterances with an error",
            "utterances with a word error",
            "a share is at most 1",
            by_words=False,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class CertifiedLimit:
    """A limit to certify.

    Args:
        rate: What is limited.
        value: Largest allowed value, a fraction.
    """

    rate: Rate
    value: float

    def __str__(self) -> str:
        """Return it as it is written, in percent."""
        return f"{self.rate.name}<={100 * self.value:.6g}"


def read_limit(text: str) -> CertifiedLimit:
    """Read a limit as people write it, e.g. ``wer<=12``: the rate's name and percent.

    Raises:
        SpaceError: Malformed, an unknown rate, or a number that is no percentage; the message says what to write.
    """
    known = ", ".join(RATES)
    found = re.fullmatch(r"\s*([a-z_]+)\s*<=\s*([0-9.eE+-]+)\s*(%?)\s*", text)
    example = "write the name of a rate, '<=' and percent, e.g. \"wer<=12\""
    if found is None:
        raise SpaceError(f"--certify '{text}': {example}; rates: {known}.")
    name, digits = found[1], found[2]
    if name not in RATES:
        raise SpaceError(f"--certify '{text}': unknown rate '{name}'; {example}; rates: {known}.")
    try:
        percent = float(digits)
    except ValueError:
        raise SpaceError(f"--certify '{text}': '{digits}' is no number; {example}.") from None
    if not 0 < percent < 100:
        raise SpaceError(f"--certify '{text}': {percent:g} % is no limit; give percent, above 0 and below 100.")
    if percent < 1 and not found[3]:
        raise SpaceError(
            f"--certify '{text}': limits are percent, and this is {percent:g} %. If you mean a fraction, write "
            f'"{name}<={100 * percent:g}"; if you mean percent, write "{name}<={percent:g}%".'
        )
    return CertifiedLimit(RATES[name], percent / 100)


@dataclass(frozen=True, slots=True, eq=False)
class SpeakerLosses:
    """Means of ``errors - a · words`` of every point over each speaker's utterances, and what was staked on them.

    Args:
        losses: Shape (n_points, n_speakers).
        stakes: Of every point.
    """

    losses: FloatArray
    stakes: tuple[Stakes, ...]

    @classmethod
    def of(
        cls,
        limit: CertifiedLimit,
        errors: FloatArray,
        words: FloatArray,
        most: FloatArray,
        speakers: npt.NDArray[np.intp],
    ) -> SpeakerLosses:
        """Sum up the errors of every utterance, and stake what can be lost; half of the limit is hoped for.

        Args:
            limit: The limit.
            errors: Word errors, shape (n_points, n_utterances).
            words: Reference words, shape (n_utterances,).
            most: Most that each utterance can count, from :func:`most_counted`, shape as ``errors``.
            speakers: Speaker of every utterance, 0 to n_speakers - 1, shape (n_utterances,).

        Raises:
            ValueError: An utterance has more errors than it could have, or there is nothing that could be wrong.
        """
        counted, per = counted_errors(limit.rate, errors, words, most)
        losses = speaker_means(counted - limit.value * per, speakers)
        greatest = speaker_means(most - limit.value * per, speakers)
        hoped = limit.value / 2 * speaker_means(per[None], speakers)[0]
        known = {row.tobytes(): row for row in greatest}  # points with equal bounds have equal stakes
        stakes = {key: set_stakes(row, hoped) for key, row in known.items()}
        return cls(losses, tuple(stakes[row.tobytes()] for row in greatest))

    def e_values(self) -> FloatArray:
        """Evidence that each point keeps the limit, shape (n_points,)."""
        return np.array([float(e_values(row, stakes)) for row, stakes in zip(self.losses, self.stakes, strict=True)])


def most_counted(
    rate: Rate, point: OperatingPoint, words: FloatArray, duration_s: FloatArray, normalizer: str
) -> FloatArray:
    """Return the most that each utterance can count at a point, known before its errors; infinity if unknown.

    Args:
        rate: What is counted.
        point: The operating point.
        words: Reference words, shape (n_utterances,).
        duration_s: Lengths of the recordings, shape (n_utterances,).
        normalizer: How texts are normalised before words are counted.

    Returns:
        Shape (n_utterances,).
    """
    if not rate.by_words:
        return np.ones_like(words)
    lengths = duration_s.tolist()
    if rate.name == "wer_clipped":
        return words
    if rate.name == "wer_capped":
        written = np.array([pass_text_tokens(seconds) for seconds in lengths], np.float64)
        return np.asarray(np.maximum(words, written))
    tokens = np.array([most_text_tokens(point, seconds) for seconds in lengths], np.float64)
    most: FloatArray = np.maximum(words, WORDS_PER_TOKEN[normalizer] * tokens)
    return most


def counted_errors(
    rate: Rate, errors: FloatArray, words: FloatArray, most: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what counts of every utterance, shape (n_points, n_utterances), and over what, shape (n_utterances,).

    Raises:
        ValueError: An utterance has more errors than it could have.
    """
    if not rate.by_words:
        return (errors > 0).astype(np.float64), np.ones_like(words)
    if rate.clipped:
        return np.minimum(errors, most), words
    if (errors > most).any():
        raise ValueError("an utterance has more errors than its transcript can have words")
    return errors, words


def speaker_means(values: FloatArray, speakers: npt.NDArray[np.intp]) -> FloatArray:
    """Means over each speaker's utterances, shape (n_points, n_speakers) of values (n_points, n_utterances)."""
    counts = np.bincount(speakers)
    sums: FloatArray = np.stack([np.bincount(speakers, row, len(counts)) for row in values])
    return sums / counts


def pass_in_sequence(found: Sequence[float], shares: Sequence[float]) -> list[bool]:
    """Test hypotheses in an order fixed before looking, so that any wrong pass at all is as rare as promised.

    Each has a share of the allowed error, most of them none, and what is passed hands its own on to the next one (the
    fallback procedure; Wiens, "A fixed sequence Bonferroni procedure for testing multiple endpoints", 2003; one share
    alone is the fixed sequence of Learn then Test, Angelopoulos et al., 2021). Valid however the e-values depend on
    each other: the levels of the hypotheses that are wrong to pass, up to the first one passed, sum to at most that of
    all shares.

    Args:
        found: e-values, in order.
        shares: Of the allowed error, of the same length; they sum to it.

    Returns:
        Which pass.
    """
    passed, carried = [], 0.0
    for evidence, share in zip(found, shares, strict=True):
        level = carried + share
        passed.append(level > 0 and evidence * level >= 1 - 1e-12)
        carried = level if passed[-1] else 0.0
    return passed
