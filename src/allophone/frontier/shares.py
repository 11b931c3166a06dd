"""Shares of utterances: how many have an error, and how many have more errors than at a reference point.

The reference point is the one with the most executed FLOPs of those that were swept: what a user would run who looked
at nothing but quality. At that point itself no utterance is worse.
"""

from __future__ import annotations

import numpy as np

from allophone.arrays import FloatArray

__all__ = ["have_errors", "have_more_errors", "reference_index"]


def have_errors(errors: FloatArray) -> FloatArray:
    """Return 1 where an utterance has an error, shape as ``errors``: (n_points, n_utterances)."""
    return np.asarray(errors > 0, dtype=np.float64)


def have_more_errors(errors: FloatArray, reference: int) -> FloatArray:
    """Return 1 where an utterance has more errors than at the reference point.

    Args:
        errors: Shape (n_points, n_utterances).
        reference: Index of the reference point.
    """
    return np.asarray(errors > errors[reference], dtype=np.float64)


def reference_index(executed_flops: FloatArray) -> int:
    """Return the point with the most executed FLOPs, of equal ones the first.

    Args:
        executed_flops: Shape (n_points, n_utterances).
    """
    return int(np.argmax(executed_flops.mean(axis=1)))
