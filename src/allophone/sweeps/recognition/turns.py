"""Random order of points, drawn anew for every utterance, the same in every sitting.

The first point behind another model's pass, or behind a pause, finds the processor's caches cold and pays for it. In a
fixed order it would be the same point every time.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TypeVar

__all__ = ["in_turn"]

Item = TypeVar("Item")


def in_turn(items: Iterable[Item], seed: int, utterance_index: int) -> list[Item]:
    """Return items in random order; an item left out does not change the order of the others.

    Args:
        items: What takes turns; ``str`` tells them apart.
        seed: Of the run.
        utterance_index: Place of the utterance in the corpus.
    """

    def draw(item: Item) -> bytes:
        return blake2b(f"{seed} {utterance_index} {item}".encode(), digest_size=8).digest()

    return sorted(items, key=draw)
