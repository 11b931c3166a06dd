"""Whether a text says the same words again and again, as a decoder does that has lost its place."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["count_repeats", "says_again"]

_LOOP_REPEATS = 3
_LOOP_WORDS = 10  # longest phrase looked for; longer ones show in the compression ratio


def says_again(heard: Sequence[str], said: Sequence[str]) -> bool:
    """Whether a hypothesis says one phrase at least three times in a row, and more often than the reference does.

    Args:
        heard: Words of the hypothesis.
        said: Words of the reference; a refrain that was really sung is no loop.
    """
    repeats = count_repeats(heard)
    return repeats >= _LOOP_REPEATS and repeats > count_repeats(said)


def count_repeats(words: Sequence[str]) -> int:
    """How often in a row the most repeated phrase of one to ten words is said; 1 where none is, or without words."""
    most = 1
    for n in range(1, min(_LOOP_WORDS, len(words) // 2) + 1):
        same = 0
        for place in range(n, len(words)):
            same = same + 1 if words[place] == words[place - n] else 0
            most = max(most, same // n + 1)
    return most
