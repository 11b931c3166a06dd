"""Word and character error rate: errors per utterance, and rates over sums of them.

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

__all__ = [
    "Normalizer",
    "WordCounts",
    "count_character_errors",
    "count_word_errors",
    "default_normalizer",
    "load_normalizer",
    "split_words",
    "word_error_rate",
]

Normalizer = Literal["english", "basic", "characters", "none"]

# Languages whose writing does not part words: Chinese, Cantonese, Japanese, Thai, Lao, Burmese (those that Whisper's
# paper, appendix C, splits into characters) and Khmer.
_UNSPACED = ("zh", "yue", "ja", "th", "lo", "my", "km")
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\uff07", "'"))  # what word processors write


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
        normalizer: ``english`` (Whisper's English normaliser), ``basic`` (Whisper's for other languages, with the
            marks that Indic, Arabic and Hebrew words are written with), ``characters`` (the same, every character
            counted as a word) or ``none``.

    Raises:
        SpaceError: Unknown normaliser.
    """
    import jiwer

    said, recognised = split_words(reference, normalizer), split_words(hypothesis, normalizer)
    if not said:  # jiwer refuses an empty reference
        return WordCounts(0, 0, len(recognised), 0)
    output = jiwer.process_words(" ".join(said), " ".join(recognised))  # it splits at U+0020 alone
    return WordCounts(output.hits, output.substitutions, output.insertions, output.deletions)


def count_character_errors(reference: str, hypothesis: str, normalizer: Normalizer = "english") -> WordCounts:
    """Align two normalised texts character by character (graphemes), white space left out, and count.

    Args:
        reference: What was said.
        hypothesis: What was recognised.
        normalizer: As for :func:`count_word_errors`.

    Raises:
        SpaceError: Unknown normaliser.
    """
    import jiwer
    import regex

    said, recognised = (
        regex.findall(r"\X", "".join(split_words(text, normalizer))) for text in (reference, hypothesis)
    )
    if not said:  # jiwer refuses an empty reference
        return WordCounts(0, 0, len(recognised), 0)
    output = jiwer.process_words(" ".join(said), " ".join(recognised))
    return WordCounts(output.hits, output.substitutions, output.insertions, output.deletions)


def default_normalizer(language: str) -> Normalizer:
    """Return the normaliser for a language code: English's own, characters where words are not parted, else basic."""
    if language == "en":
        return "english"
    return "characters" if language in _UNSPACED else "basic"


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


@lru_cache(maxsize=4)
def load_normalizer(normalizer: Normalizer) -> Callable[[str], str]:
    """Return the text normaliser of that name.

    Raises:
        SpaceError: Unknown name; the message lists the known ones.
    """
    if normalizer == "english":
        from whisper_normalizer.english import EnglishTextNormalizer

        english: Callable[[str], str] = EnglishTextNormalizer()
        return lambda text: english(text.translate(_APOSTROPHES))
    if normalizer in ("basic", "characters"):
        import regex
        from whisper_normalizer.basic import BasicTextNormalizer

        basic: Callable[[str], str] = BasicTextNormalizer(split_letters=normalizer == "characters", preserve_marks=True)
        lone = regex.compile(r"(?<![\p{L}\p{N}\p{M}])\p{M}+")  # what is left of a symbol such as a macron by itself
        return lambda text: str(lone.sub("", basic(text)))
    if normalizer == "none":
        return str
    known = ", ".join(get_args(Normalizer))
    raise SpaceError(f"unknown normalizer '{normalizer}'; known: {known}.")
