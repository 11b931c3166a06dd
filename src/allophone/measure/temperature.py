"""Temperature scaling: calibrated probabilities, fitted where the model was not trained.

Guo et al., "On calibration of modern neural networks", 2017, section 4.2: logits are divided by the temperature that
makes held-out labels most likely. The decision stays; only its confidence moves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.errors import UsageError

__all__ = ["calibration_error", "fit_temperature", "negative_log_likelihood", "softmax"]


_RANGE = (0.05, 20.0)  # of temperatures
_STEPS = 60  # golden sections: the range shrinks to 1e-12 of itself


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Softmax of ``logits / temperature`` over the last axis.

    Raises:
        UsageError: The temperature is not positive.
    """
    if not temperature > 0:
        raise UsageError(f"temperature {temperature}; it is above 0")
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    raised = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def negative_log_likelihood(logits: npt.ArrayLike, labels: npt.ArrayLike, temperature: float = 1.0) -> float:
    """Mean of ``-log p(label)`` in nats.

    Args:
        logits: Shape ``(n_utterances, n_classes)``.
        labels: Class numbers, shape ``(n_utterances,)``.
        temperature: Divides the logits.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    top = scaled.max(axis=1)
    normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float(np.mean(normaliser - scaled[np.arange(len(scaled)), np.asarray(labels)]))


def fit_temperature(logits: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Return the temperature from 0.05 to 20 that makes the labels most likely.

    The likelihood has one optimum in the inverse temperature, so a golden-section search finds it. A model that is
    never wrong gets the least temperature, one that knows nothing the greatest.

    Args:
        logits: Of utterances whose speakers did not train the model, shape ``(n_utterances, n_classes)``.
        labels: Class numbers, shape ``(n_utterances,)``.

    Raises:
        UsageError: There is no utterance.
    """
    logits = np.asarray(logits, dtype=np.float64)
    if not len(logits):
        raise UsageError("a temperature needs utterances to be fitted on")
    low, high = np.log(_RANGE[0]), np.log(_RANGE[1])
    section = (5**0.5 - 1) / 2
    for _ in range(_STEPS):
        left, right = high - section * (high - low), low + section * (high - low)
        if negative_log_likelihood(logits, labels, float(np.exp(left))) < negative_log_likelihood(
            logits, labels, float(np.exp(right))
        ):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def calibration_error(confidences: npt.ArrayLike, hits: npt.ArrayLike, *, bins: int = 15) -> float:
    """Expected calibration error: mean distance between confidence and accuracy over equal bins of confidence.

    Source: the same paper, equation 3. Without utterances it is NaN.

    Args:
        confidences: From 0 to 1, shape ``(n_utterances,)``.
        hits: Whether each decision was right, likewise.
        bins: Number of bins.
    """
    confidence, hit = np.asarray(confidences, dtype=np.float64), np.asarray(hits, dtype=np.float64)
    if not confidence.size:
        return float("nan")
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(index, weights=hit - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / confidence.size)
