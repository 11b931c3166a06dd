"""Transcript features: what one pass over an utterance tells about its own transcript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING

import numpy as np

from allophone.records.transcript import Transcript

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["READING_FEATURES", "TranscriptFeatures", "pair_features", "reading_features", "transcript_reading"]

# Few on purpose: from a thousand noisy labels, more signs of the same doubt predict unseen speakers worse.
READING_FEATURES: tuple[str, ...] = (
    *("log_duration", "tokens_per_s", "avg_logprob", "min_logprob", "doubt_sum", "doubt_mean", "last_logprobs"),
    *("entropy_mean", "entropy_sum", "compression_ratio", "log_no_speech_prob", "truncated", "repeated_share"),
)
_LAST_TOKENS = 3  # their doubt tells of speech cut off
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class TranscriptFeatures:
    """One utterance through one point, as far as the transcript itself shows.

    Args:
        text: The transcript.
        duration_s: Seconds of audio.
        tokens: Text tokens generated, end-of-text included.
        truncated: Windows that the text-token cap ended.
        avg_logprob: Mean log-probability of the tokens; None without any.
        no_speech_prob: Largest of the windows; None without any.
        compression_ratio: Largest of the windows; None without any.
        token_logprobs: Of every token; empty where not read, as with beams.
        token_entropies: In nats; empty likewise.
    """

    text: str
    duration_s: float
    tokens: int
    truncated: int
    avg_logprob: float | None
    no_speech_prob: float | None
    compression_ratio: float | None
    token_logprobs: Sequence[float]
    token_entropies: Sequence[float]


def transcript_reading(transcript: Transcript) -> TranscriptFeatures:
    """Return what a ledger row of this transcript would hold, so that a running policy sees what replay saw."""
    segments = transcript.segments
    tokens = sum(segment.token_count for segment in segments)
    return TranscriptFeatures(
        text=transcript.text,
        duration_s=transcript.duration_s,
        tokens=tokens,
        truncated=sum(segment.truncated for segment in segments),
        avg_logprob=sum(part.avg_logprob * part.token_count for part in segments) / tokens if tokens else None,
        no_speech_prob=max((segment.no_speech_prob for segment in segments), default=None),
        compression_ratio=max((segment.compression_ratio for segment in segments), default=None),
        token_logprobs=[value for segment in segments for value in segment.token_logprobs],
        token_entropies=[value for segment in segments for value in segment.token_entropies],
    )


def reading_features(reading: TranscriptFeatures) -> NDArray[np.float32]:
    """Return the numbers that a regressor reads, in the order of :data:`READING_FEATURES`.

    Without token log-probabilities their mean stands for each; without any token everything is as if sure.

    Returns:
        Shape (n_features,), float32, all finite.
    """
    duration = max(reading.duration_s, 0.1)
    average = reading.avg_logprob or 0.0
    logprobs = np.array(reading.token_logprobs or [average] * max(reading.tokens, 1), np.float64)
    entropies = np.array(reading.token_entropies or [0.0], np.float64)
    doubts = 1 - np.exp(logprobs)
    words = reading.text.split()
    repeated = 1 - len(set(pairwise(words))) / (len(words) - 1) if len(words) > 1 else 0.0
    values = (
        *(log(duration), reading.tokens / duration, average, logprobs.min()),
        *(doubts.sum(), doubts.mean(), logprobs[-_LAST_TOKENS:].mean()),
        *(entropies.mean(), entropies.sum(), reading.compression_ratio or 0.0),
        *(log(max(reading.no_speech_prob or 0.0, _LEAST_PROBABILITY)), reading.truncated, repeated),
    )
    return np.nan_to_num(np.array(values, np.float32), posinf=1e6, neginf=-1e6)


def pair_features(cheap: TranscriptFeatures, dear: TranscriptFeatures) -> NDArray[np.float32]:
    """Return what both readings of one utterance show together: each alone, their difference, how far they agree.

    Returns:
        Shape (3 x n_features + 3,): both readings' features, dear minus cheap, word edits between the two texts, those
        over the longer text's words, and the difference in words.
    """
    alone = reading_features(cheap), reading_features(dear)
    words = cheap.text.lower().split(), dear.text.lower().split()
    edits = _word_edits(*words)
    longest = max(len(words[0]), len(words[1]), 1)
    together = np.array([edits, edits / longest, len(words[1]) - len(words[0])], np.float32)
    return np.concatenate([*alone, alone[1] - alone[0], together])


def _word_edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the Levenshtein distance in words."""
    row = list(range(len(other) + 1))
    for index, word in enumerate(one, start=1):
        diagonal, row[0] = row[0], index
        for column, heard in enumerate(other, start=1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (word != heard))
    return row[-1]
