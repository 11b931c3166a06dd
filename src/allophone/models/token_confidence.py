"""Token confidence: log-probability and entropy of each token, from the logits of decoding steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["read_step", "token_confidence"]


def token_confidence(rows: Iterable[Any], tokens: Iterable[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the log-probability of every generated token, and the entropy of its distribution in nats.

    Args:
        rows: Logits that each token was drawn from, shape ``(n_vocab,)`` each.
        tokens: The tokens, end-of-text last: a text that was cut has no row for it.
    """
    steps = [read_step(row, token) for row, token in zip(rows, tokens, strict=False)]
    return tuple(step[0] for step in steps), tuple(step[1] for step in steps)


def read_step(logits: Any, token: int) -> tuple[float, float]:
    """Return the token's log-probability, and the entropy of its distribution in nats."""
    import numpy as np

    row = np.asarray(logits, np.float32).ravel()
    row = row - row.max()
    shares = np.exp(row)
    total = float(shares.sum())
    # -sum p log p, with p = e / total and log p = row - log total; a suppressed token's -inf has no share.
    mean = float(np.dot(shares, np.maximum(row, -1e4))) / total
    return float(row[token]) - float(np.log(total)), float(np.log(total)) - mean
