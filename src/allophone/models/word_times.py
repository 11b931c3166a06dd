"""Word timestamps, from the path that aligns text tokens with audio tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from allophone.records.transcript import Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["group_words"]


def group_words(
    texts: Sequence[str],
    lengths: Sequence[int],
    path: NDArray[np.int64],
    probabilities: Sequence[float],
    position_s: float,
) -> list[Word]:
    """Turn an alignment of tokens into words; punctuation joins the word before it.

    Args:
        texts: Text of each word, with the space before it.
        lengths: Text tokens of each word.
        path: Shape ``(n_steps, 2)``: pairs of token and position, as dynamic time warping walks them.
        probabilities: One per token.
        position_s: Seconds from one position to the next.

    Returns:
        Words in order, in seconds from the first position.
    """
    import numpy as np

    # As openai/whisper's find_alignment: a token begins where the warping path first reaches it.
    first = np.flatnonzero(np.diff(path[:, 0], prepend=-1))
    # With a single audio token the path can also begin one before the first.
    begins = np.maximum(path[first, 1], 0) * position_s
    edges = np.cumsum([0, *lengths])
    words: list[Word] = []
    for text, start, end in zip(texts, edges, edges[1:], strict=False):
        if words and not any(character.isalnum() for character in text):  # punctuation has no sound of its own
            words[-1] = replace(words[-1], text=words[-1].text + text)
            continue
        probability = float(np.mean(probabilities[start:end]))
        words.append(Word(text, float(begins[start]), float(begins[end]), probability))
    return words
