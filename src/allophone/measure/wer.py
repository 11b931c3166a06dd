"""Word errors of one utterance, and rates over sums of them.

Counting is jiwer's. The undefined cases are decided here: with an empty reference every hypothesis word is an
insertion; with both empty there is no error; a rate over a reference without a single word is 0 without errors and
infinite with some. Texts are normalised first, by the normaliser that every record names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Literal, get_args

from allophone.errors import SpaceError

__all__ = ["Normalizer", "WordCounts", "count_word_errors", "load_normalizer", "split_words", "word_error_rate"]

Normalizer = Literal["english", "basic", "none"]


@dataclass(frozen=True, slots=True)
class WordCounts:
    """Counts of one alignment of a reference with a hypothesis, in words."""

    hits: int
    substitutions: int
    insertions: int
    deletions: int

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions together."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def reference_words(self) -> int:
        """Words of the normalised reference."""
        return self.hits + self.substitutions + self.deletions


def count_word_errors(reference: str, hypothesis: str, normalizer: Normalizer = "english") -> WordCounts:
    """Align two texts after normalising both, and count.

    Args:
        reference: What was said.
        hypothesis: What was recognised.
        normalizer: ``english`` (Whisper's English normaliser), ``basic`` (Whisper's for other languages) or ``none``.

    Raises:
        SpaceError: Unknown normaliser.
    """
    import jiwer

    said, recognised = split_words(reference, normalizer), split_words(hypothesis, normalizer)
    if not said:  # jiwer refuses an empty reference
        return WordCounts(0, 0, len(recognised), 0)
    output = jiwer.process_words(" ".join(said), " ".join(recognised))  # it splits at U+0020 alone
    return WordCounts(output.hits, output.substitutions, output.insertions, output.deletions)


def split_words(text: str, normalizer: Normalizer) -> list[str]:
    """Normalise a text and split it into words at white space of any kind: a line break parts words as a space does.

    Args:
        text: A reference or a hypothesis.
        normalizer: As for :func:`count_word_errors`.

    Raises:
        SpaceError: Unknown normaliser.
    """
    return load_normalizer(normalizer)(text).split()


def word_error_rate(hits: int, substitutions: int, insertions: int, deletions: int) -> float:
    """Return (S + I + D) / (H + S + D) of summed counts, as a fraction; see the module for empty references."""
    errors = substitutions + insertions + deletions
    words = hits + substitutions + deletions
    if words == 0:
        return 0.0 if errors == 0 else inf
    return errors / words


@lru_cache(maxsize=3)
def load_normalizer(normalizer: Normalizer) -> Callable[[str], str]:
    """Return the text normaliser of that name.

    Raises:
        SpaceError: Unknown name; the message lists the known ones.
    """
    if normalizer == "english":
        from whisper_normalizer.english import EnglishTextNormalizer

        english: Callable[[str], str] = EnglishTextNormalizer()
        return english
    if normalizer == "basic":
        from whisper_normalizer.basic import BasicTextNormalizer

        basic: Callable[[str], str] = BasicTextNormalizer()
        return basic
    if normalizer == "none":
        return str
    known = ", ".join(get_args(Normalizer))
    raise SpaceError(f"unknown normalizer '{normalizer}'; known: {known}.")
