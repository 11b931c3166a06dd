"""Which windows go through encoder and decoder together: neighbours in length, so that little padding runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

__all__ = ["LARGEST_PADDING", "choose_batch"]

LARGEST_PADDING = 1.25  # frames of a batch over the frames that its shortest window asks for


def choose_batch(frames: Sequence[int], size: int) -> list[int]:
    """Choose a batch that holds the window waiting longest, and those nearest to it in length.

    All windows of a batch run on the frames of its longest. That is at most 1.25 times what its shortest asks for.

    Args:
        frames: Frames that each waiting window asks for, the one waiting longest first.
        size: Most windows of a batch.

    Returns:
        Places in ``frames``, in order; the first is 0.

    Raises:
        ValueError: No window waits, or the size is less than 1.
    """
    if not frames or size < 1:
        raise ValueError(f"{len(frames)} windows waiting, batches of {size}")
    low = high = frames[0]
    chosen: list[int] = []
    for place in sorted(range(len(frames)), key=lambda place: (abs(log(frames[place] / frames[0])), place)):
        lower, higher = min(low, frames[place]), max(high, frames[place])
        if len(chosen) < size and higher <= LARGEST_PADDING * lower:
            low, high = lower, higher
            chosen.append(place)
    return sorted(chosen)
