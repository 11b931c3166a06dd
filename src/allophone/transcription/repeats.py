"""Repetition loops in a text: phrases said again and again, how often the audio bears them out, and cutting the rest.

A decoder that has lost its place says one phrase over and over. People do so too ("stop it, stop it, stop it"), and the
text alone does not tell the two apart. Their times do: dynamic time warping finds a stretch of audio for every repeat
that was said, and crams those that were not into a few positions (``docs/results/default_point.md``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from allophone.models.engine import Engine
from allophone.records.transcript import Segment, Word
from allophone.transcription.windows import compression_ratio

__all__ = ["MOST_REPEATS", "Run", "count_supported", "cut_repeats", "longest_run"]

MOST_REPEATS = 4  # of a phrase in a row, which are believed without a look at the audio
_LONGEST_PHRASE = 20  # units; longer phrases show in the compression ratio
_LONGEST_WORD = 20  # letters; longer ones are read letter by letter, as are texts without spaces
_LEAST_UNIT_S = 0.12  # a word of a repeat that was said takes 0.3 to 1 s in the mean, one that was not 0 to 0.1 s
_UNIT = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Run:
    """A phrase repeated in a text.

    Args:
        starts: Place in the text at which each repeat starts, in characters; one repeat where none is repeated.
        units: Words of the phrase, or letters where words are not parted.
        end: Where the run ends and other text begins, a repeat that was broken off included.
    """

    starts: tuple[int, ...]
    units: int
    end: int

    @property
    def count(self) -> int:
        """How often the phrase is said in a row."""
        return len(self.starts)


def longest_run(text: str) -> Run:
    """Find the phrase of up to 20 words that a text repeats most often in a row; capitals and punctuation do not count.

    A text without words is one run of one empty phrase.
    """
    units = _units(text)
    names = [name for name, _ in units]
    places = [place for _, place in units] + [len(text)]
    best = Run((0,), 0, len(text))
    for length in range(1, min(_LONGEST_PHRASE, len(names) // 2) + 1):
        same = 0
        for index in range(length, len(names)):
            same = same + 1 if names[index] == names[index - length] else 0
            if same // length + 1 > best.count:
                first = index + 1 - same - length
                last = _run_end(names, index + 1, length)
                starts = tuple(places[first : index + 2 - length : length])
                best = Run(starts, length, places[last])
    return best


def _run_end(names: Sequence[str], index: int, length: int) -> int:
    """Return the first unit that does not go on with the phrase; a run goes on growing as longer ones are found."""
    while index < len(names) and names[index] == names[index - length]:
        index += 1
    return index


def _units(text: str) -> list[tuple[str, int]]:
    """Return words in lower case with their places in the text; letters of words that are too long for one."""
    found: list[tuple[str, int]] = []
    for match in _UNIT.finditer(text):
        word = match.group()
        if len(word) <= _LONGEST_WORD:
            found.append((word.casefold(), match.start()))
        else:
            found += [(letter.casefold(), match.start() + offset) for offset, letter in enumerate(word)]
    return found


def count_supported(run: Run, words: Sequence[Word]) -> int:
    """Count the repeats for which there is audio: those that take 0.12 s a word at least.

    Args:
        run: Of a text.
        words: All words of that text with their times; without any, nothing speaks for a repeat but the first.
    """
    if not words:
        return 1
    ends = _ends(words)

    def time_at(place: int) -> float:
        return next((word.start_s for word, end in zip(words, ends, strict=True) if place < end), words[-1].end_s)

    times = [time_at(place) for place in (*run.starts, run.end)]
    return max(1, sum(end - start >= _LEAST_UNIT_S * run.units for start, end in pairwise(times)))


def cut_repeats(engine: Engine, segment: Segment, run: Run, keep: int) -> Segment:
    """Return a segment of whose repeats only the first ones are left; its tokens and words are cut with its text.

    Args:
        engine: What wrote the tokens.
        segment: With the text that the run was found in.
        run: More repeats than are kept.
        keep: How many repeats stay, at least 1.
    """
    start, end = run.starts[keep], run.end
    text = f"{segment.text[:start]}{segment.text[end:]}".strip()
    first, last = (_token_at(engine, segment, place) for place in (start, end))
    tokens = segment.tokens[:first] + segment.tokens[last:]
    words = tuple(
        word for word, place in zip(segment.words, _ends(segment.words), strict=True) if not start < place <= end
    )
    return replace(
        segment,
        text=text,
        tokens=tokens,
        words=words,
        token_logprobs=segment.token_logprobs[:first] + segment.token_logprobs[last:],
        token_entropies=segment.token_entropies[:first] + segment.token_entropies[last:],
        compression_ratio=compression_ratio(text),
    )


def _ends(words: Sequence[Word]) -> list[int]:
    """Return where each word ends in the text, which has no white space before the first one."""
    joined = "".join(word.text for word in words)
    lead = len(joined) - len(joined.lstrip())
    return [end - lead for end in accumulate(len(word.text) for word in words)]


def _token_at(engine: Engine, segment: Segment, place: int) -> int:
    """Return how many tokens write the text before a place."""
    before = len(segment.text[:place].rstrip())
    for count in range(len(segment.tokens)):
        if len(engine.text_of(segment.tokens[:count])) >= before:
            return count
    return len(segment.tokens)
