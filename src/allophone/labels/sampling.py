"""Sampling utterances to transcribe, with probability proportional to the hypotheses' disagreement.

Every utterance has a size ``s`` and a random number ``u``, uniform on (0, 1) and made of the seed and the utterance's
id alone. Its priority is ``u / s``, and the sample of n are the n lowest (priority sampling: Duffield, Lund and Thorup,
"Priority sampling for estimation of arbitrary subset sums", 2007; sequential Poisson sampling: Ohlsson, 1998). With t
the (n + 1)th lowest, an utterance is in the sample with probability ``min(1, s · t)`` given the other priorities, and
sums weighted by the inverse are unbiased for every n. So a larger sample holds the smaller ones, and whoever
transcribes in order of priority may stop anywhere.

The size is a share of disagreement and, as a floor that keeps weights bounded, a share of words. Where all hypotheses
are equal no transcript can change a difference between points; where even the big model's agrees, hardly an error rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from itertools import combinations

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import UsageError
from allophone.measure.wer import count_word_errors

__all__ = ["FLOOR", "disagreement", "inclusion_probabilities", "priorities", "sample_sizes"]

FLOOR = 0.25  # of the size, by words; chosen by error and coverage on simulated corpora among 0.25, 0.5 and 1


def disagreement(hypotheses: Sequence[str]) -> float:
    """Mean word edit distance over all pairs of hypotheses of one utterance.

    Args:
        hypotheses: Already normalised, two or more.
    """
    counts = Counter(" ".join(text.split()) for text in hypotheses)
    total = sum(
        counts[one] * counts[other] * count_word_errors(one, other, "none").errors
        for one, other in combinations(counts, 2)
    )
    return total / (len(hypotheses) * (len(hypotheses) - 1) / 2)


def sample_sizes(disagreements: FloatArray, words: FloatArray) -> FloatArray:
    """Sizes that inclusion probabilities are proportional to, each of shape (n_utterances,); they sum to 1.

    Args:
        disagreements: From :func:`disagreement`.
        words: Words of the big model's transcripts. One is added, so that an utterance in which it heard nothing can
            be drawn too.
    """
    by_words = (words + 1) / (words + 1).sum()
    if not disagreements.any():
        return np.asarray(by_words)
    return np.asarray((1 - FLOOR) * disagreements / disagreements.sum() + FLOOR * by_words)


def priorities(utterances: Sequence[str], sizes: FloatArray, seed: int) -> FloatArray:
    """Priority of every utterance, shape (n_utterances,); the lowest are transcribed first.

    Args:
        utterances: Their ids.
        sizes: From :func:`sample_sizes`.
        seed: Fixes the draw, on every machine.
    """
    digests = (sha256(f"{seed}:{name}".encode()).digest()[:8] for name in utterances)
    uniform = np.array([(int.from_bytes(digest, "big") + 0.5) / 2**64 for digest in digests])
    return np.asarray(uniform / sizes)


def inclusion_probabilities(order: FloatArray, sizes: FloatArray, n_drawn: int) -> FloatArray:
    """Probability of every utterance to be among the ``n_drawn`` of lowest priority, shape (n_utterances,).

    Args:
        order: From :func:`priorities`.
        sizes: From :func:`sample_sizes`.
        n_drawn: Size of the sample.

    Raises:
        UsageError: There are not so many utterances, or none is to be drawn.
    """
    if not 1 <= n_drawn <= len(order):
        raise UsageError(f"a sample of {n_drawn} cannot be drawn from {len(order)} utterances.")
    if n_drawn == len(order):
        return np.ones(len(order))
    threshold = np.partition(order, n_drawn)[n_drawn]
    return np.asarray(np.minimum(1.0, sizes * threshold))
