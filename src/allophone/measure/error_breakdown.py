"""Breakdown of word errors: where in the utterance, in which words, at which speakers.

Every error of an utterance has exactly one kind, so the kinds add up to the errors that the rate counts:

- ``silence_insertions``: words where the reference is empty;
- ``loop_insertions``: insertions in an utterance whose hypothesis loops. It loops when it says one to ten words at
  least three times in a row and more often than the reference does, when it compresses by more than 2.4 (Whisper's own
  sign of failure: ``compression_ratio_threshold`` in openai/whisper, ``whisper/transcribe.py``), or when the cap on
  text tokens ended it. In a long recording that loops somewhere all insertions count;
- ``run_insertions``: three or more words in a row that nobody said, without a loop; ``other_insertions``: the rest;
- ``lost_deletions``: nothing at all was recognised; ``end_deletions``: the text stops before the last words;
  ``other_deletions``: the rest;
- ``substitutions``, which are also counted by the length of the word that was said.

Where an alignment is not unique, jiwer's decides, as it does for the rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from math import inf
from typing import Literal, get_args

from allophone.measure.wer import Normalizer, split_words, word_error_rate

__all__ = [
    "ERROR_KINDS",
    "ErrorBreakdown",
    "ErrorKind",
    "GroupErrors",
    "UtteranceErrors",
    "break_down_errors",
    "count_repeats",
    "repeats_phrase",
    "sum_breakdowns",
]

ErrorKind = Literal[
    "substitutions",
    "loop_insertions",
    "silence_insertions",
    "run_insertions",
    "other_insertions",
    "end_deletions",
    "lost_deletions",
    "other_deletions",
]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
_LOOP_COMPRESSION_RATIO = 2.4
_RUN_WORDS = 3
_LETTERS = (("1 to 3 letters", 3.0), ("4 to 6 letters", 6.0), ("7 letters or more", inf))
_SNR_DB = (("under 5 dB", 5.0), ("5 to 15 dB", 15.0), ("15 dB or more", inf))


@dataclass(frozen=True, slots=True)
class UtteranceErrors:
    """The errors of one utterance.

    Args:
        speaker: Who speaks, or None.
        words: Words of the normalised reference.
        errors: Words in error by kind; every kind is there.
        words_by_length: Reference words by class of length; ``substitutions_by_length``: those substituted.
        loops: Whether the hypothesis loops.
        snr_db: Signal-to-noise ratio of the recording in dB, or None where nobody measured it.
    """

    speaker: str | None
    words: int
    errors: Mapping[ErrorKind, int]
    words_by_length: tuple[int, ...]
    substitutions_by_length: tuple[int, ...]
    loops: bool
    snr_db: float | None = None


@dataclass(frozen=True, slots=True)
class GroupErrors:
    """Errors of one group of words or utterances: counts, then their rate as a fraction.

    Args:
        name: What people read.
        utterances: Utterances in it; ``speakers``: named speakers; ``words``: reference words.
        errors: Words in error.
    """

    name: str
    utterances: int
    speakers: int
    words: int
    errors: int

    @property
    def rate(self) -> float:
        """Errors per reference word; without a word 0, or infinite with errors."""
        return word_error_rate(self.words, 0, self.errors, 0)


@dataclass(frozen=True, slots=True)
class ErrorBreakdown:
    """The errors of one point, summed over utterances.

    Args:
        utterances: How many.
        words: Reference words.
        errors: Words in error by kind.
        utterances_with: Utterances with at least one error of the kind.
        looping: Utterances whose hypothesis loops.
        silent: Utterances with an empty reference.
        by_length: Substitutions by length of the word said, shortest first.
        by_speaker: The best and the worst quarter of the speakers, at least one each, by their error rates; None with
            fewer than two named speakers.
        by_snr: Errors by signal-to-noise ratio, worst first, ranges that hold utterances; None where none has one.
    """

    utterances: int
    words: int
    errors: Mapping[ErrorKind, int]
    utterances_with: Mapping[ErrorKind, int]
    looping: int
    silent: int
    by_length: tuple[GroupErrors, ...]
    by_speaker: tuple[GroupErrors, GroupErrors] | None
    by_snr: tuple[GroupErrors, ...] | None

    @property
    def total(self) -> int:
        """Words in error, of all kinds."""
        return sum(self.errors.values())

    def differs_in(self, other: ErrorBreakdown) -> ErrorKind | None:
        """The kind of error that moves the other's total most in the direction it moves; None for equal totals."""
        if self.total == other.total:
            return None
        sign = 1 if other.total > self.total else -1
        return max(ERROR_KINDS, key=lambda kind: sign * (other.errors[kind] - self.errors[kind]))


def break_down_errors(
    reference: str,
    hypothesis: str,
    *,
    normalizer: Normalizer = "english",
    compression_ratio: float | None = None,
    truncated: bool = False,
    speaker: str | None = None,
    snr_db: float | None = None,
) -> UtteranceErrors:
    """Align two texts after normalising both, and give every error its kind.

    Args:
        reference: What was said.
        hypothesis: What was recognised.
        normalizer: As for :func:`allophone.measure.wer.count_word_errors`.
        compression_ratio: Bytes of the hypothesis over bytes of its zlib compression, or None where unknown.
        truncated: Whether the cap on text tokens ended the hypothesis.
        speaker: Who speaks, or None.
        snr_db: Signal-to-noise ratio in dB, or None.

    Raises:
        SpaceError: Unknown normaliser.
    """
    reference_words, hypothesis_words = _words(reference, normalizer), _words(hypothesis, normalizer)
    loops = (
        truncated
        or (compression_ratio or 0) > _LOOP_COMPRESSION_RATIO
        or repeats_phrase(hypothesis_words, reference_words)
    )
    errors: dict[ErrorKind, int] = dict.fromkeys(ERROR_KINDS, 0)
    substituted: list[str] = []
    if not reference_words:
        errors["silence_insertions"] = len(hypothesis_words)
    elif not hypothesis_words:
        errors["lost_deletions"] = len(reference_words)
    elif reference_words != hypothesis_words:
        substituted = _count(reference_words, hypothesis_words, loops, errors)
    return UtteranceErrors(
        speaker,
        len(reference_words),
        errors,
        _by_length(reference_words),
        _by_length(substituted),
        loops=loops,
        snr_db=snr_db,
    )


def sum_breakdowns(utterances: Iterable[UtteranceErrors]) -> ErrorBreakdown:
    """Sum the error breakdowns of one point's utterances; without an utterance all counts are 0."""
    rows = list(utterances)
    return ErrorBreakdown(
        utterances=len(rows),
        words=sum(row.words for row in rows),
        errors={kind: sum(row.errors[kind] for row in rows) for kind in ERROR_KINDS},
        utterances_with={kind: sum(row.errors[kind] > 0 for row in rows) for kind in ERROR_KINDS},
        looping=sum(row.loops for row in rows),
        silent=sum(row.words == 0 for row in rows),
        by_length=tuple(_of_length(rows, index) for index in range(len(_LETTERS))),
        by_speaker=_by_speaker(rows),
        by_snr=_by_snr(rows),
    )


@lru_cache(maxsize=2**14)  # a reference comes again at every point, and easy utterances come out alike
def _words(text: str, normalizer: Normalizer) -> tuple[str, ...]:
    return tuple(split_words(text, normalizer))


def _count(reference: Sequence[str], hypothesis: Sequence[str], loops: bool, errors: dict[ErrorKind, int]) -> list[str]:
    """Count the errors of an alignment into ``errors``; return the words said that were substituted."""
    import jiwer

    substituted: list[str] = []
    for chunk in jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments[0]:
        inserted, missing = chunk.hyp_end_idx - chunk.hyp_start_idx, chunk.ref_end_idx - chunk.ref_start_idx
        if chunk.type == "substitute":
            errors["substitutions"] += missing
            substituted += reference[chunk.ref_start_idx : chunk.ref_end_idx]
        elif chunk.type == "insert":
            alone: ErrorKind = "run_insertions" if inserted >= _RUN_WORDS else "other_insertions"
            errors["loop_insertions" if loops else alone] += inserted
        elif chunk.type == "delete":
            errors["end_deletions" if chunk.ref_end_idx == len(reference) else "other_deletions"] += missing
    return substituted


def _by_length(words: Iterable[str]) -> tuple[int, ...]:
    counts = [0] * len(_LETTERS)
    for word in words:
        counts[next(index for index, (_, longest) in enumerate(_LETTERS) if len(word) <= longest)] += 1
    return tuple(counts)


def _of_length(rows: Sequence[UtteranceErrors], index: int) -> GroupErrors:
    words, errors = [row.words_by_length[index] for row in rows], [row.substitutions_by_length[index] for row in rows]
    speakers = {row.speaker for row in rows if row.words_by_length[index]} - {None}
    return GroupErrors(_LETTERS[index][0], sum(count > 0 for count in words), len(speakers), sum(words), sum(errors))


def _by_speaker(rows: Sequence[UtteranceErrors]) -> tuple[GroupErrors, GroupErrors] | None:
    spoken: dict[str, list[UtteranceErrors]] = {}
    for row in rows:
        if row.speaker is not None:
            spoken.setdefault(row.speaker, []).append(row)
    ranked = sorted(spoken.values(), key=lambda group: _group("", group).rate)
    if len(ranked) < 2:
        return None
    quarter = max(1, len(ranked) // 4)
    best, worst = chain.from_iterable(ranked[:quarter]), chain.from_iterable(ranked[-quarter:])
    return _group("best quarter of speakers", list(best)), _group("worst quarter of speakers", list(worst))


def _by_snr(rows: Sequence[UtteranceErrors]) -> tuple[GroupErrors, ...] | None:
    measured = [(row.snr_db, row) for row in rows if row.snr_db is not None]
    lowest = (-inf, *(below for _, below in _SNR_DB))
    groups = (
        _group(name, [row for snr_db, row in measured if above <= snr_db < below])
        for (name, below), above in zip(_SNR_DB, lowest, strict=False)
    )
    return tuple(group for group in groups if group.utterances) if measured else None


def _group(name: str, rows: Sequence[UtteranceErrors]) -> GroupErrors:
    speakers = {row.speaker for row in rows} - {None}
    errors = sum(sum(row.errors.values()) for row in rows)
    return GroupErrors(name, len(rows), len(speakers), sum(row.words for row in rows), errors)


_LOOP_REPEATS = 3
_LOOP_WORDS = 10  # longest phrase looked for; longer ones show in the compression ratio


def repeats_phrase(hypothesis: Sequence[str], reference: Sequence[str]) -> bool:
    """Whether a hypothesis says one phrase at least three times in a row, and more often than the reference does.

    Args:
        hypothesis: Words of the hypothesis.
        reference: Words of the reference; a refrain that was really sung is no loop.
    """
    repeats = count_repeats(hypothesis)
    return repeats >= _LOOP_REPEATS and repeats > count_repeats(reference)


def count_repeats(words: Sequence[str]) -> int:
    """How often in a row the most repeated phrase of one to ten words is said; 1 where none is, or without words."""
    most = 1
    for n in range(1, min(_LOOP_WORDS, len(words) // 2) + 1):
        same = 0
        for index in range(n, len(words)):
            same = same + 1 if words[index] == words[index - n] else 0
            most = max(most, same // n + 1)
    return most
