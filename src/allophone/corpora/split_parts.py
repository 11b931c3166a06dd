"""One split: which speakers are in which part, and whether that can be trained and tested."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from re import fullmatch
from typing import Literal

from pydantic import BaseModel, ConfigDict

from allophone.corpora.stratify import speakers_of
from allophone.errors import CorpusError, UsageError
from allophone.records.utterance import Utterance

__all__ = ["PARTS", "Part", "Split", "check_shape", "check_speakers"]

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


class Split(BaseModel):
    """One assignment of speakers to parts. Speakers of no part are not used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def select(self, utterances: Sequence[Utterance], part: Part) -> list[Utterance]:
        """Return the utterances of a part's speakers, in their order."""
        speakers = set(getattr(self, part))
        return [utterance for utterance in utterances if utterance.speaker in speakers]


def check_shape(splits: Sequence[Split], where: Path) -> None:
    """Check what can be checked without the corpus: names, and that parts have speakers, each speaker one part.

    Args:
        splits: Of one file.
        where: What a message names: the file, or the corpus that they were made from.

    Raises:
        CorpusError: No split, a name given twice or unfit for a folder, or a speaker in two parts.
        UsageError: A part without a speaker.
    """
    if not splits:
        raise CorpusError(f"{where}: field 'splits' is empty. Give at least one split.")
    names = [split.name for split in splits]
    for name in names:
        if names.count(name) > 1:
            raise CorpusError(f"{where}: two splits are called '{name}'. Give each a name of its own.")
        if not fullmatch(r"[\w.-]+", name):  # folders are named after it
            raise CorpusError(f"{where}: split name '{name}': use letters, digits, '.', '_' and '-'.")
    for split in splits:
        parts: dict[str, Part] = {}
        for part in PARTS:
            for speaker in getattr(split, part):
                if speaker in parts:
                    both = f"{parts[speaker]} and in {part}" if parts[speaker] != part else f"{part} twice"
                    raise CorpusError(
                        f"{where}: split '{split.name}' has speaker '{speaker}' in {both}. "
                        "A speaker belongs to one part; mend or make the split anew."
                    )
                parts[speaker] = part
            if not getattr(split, part):
                raise UsageError(
                    f"{where}: split '{split.name}' leaves no speaker for {part}. Name some for each part."
                )


def check_speakers(
    splits: Sequence[Split], utterances: Sequence[Utterance], labels: Sequence[str], where: Path
) -> tuple[str, ...]:
    """Check speakers and labels against the corpus, and return warnings: which part lacks which label.

    Args:
        splits: Of one file.
        utterances: The corpus.
        labels: To be told apart.
        where: As of :func:`check_shape`.

    Raises:
        CorpusError: A speaker whom the corpus does not have, or a label without a training utterance.
    """
    known, warnings = speakers_of(utterances), []
    for split in splits:
        for part in PARTS:
            if strangers := [speaker for speaker in getattr(split, part) if speaker not in known]:
                raise CorpusError(
                    f"{where}: the corpus has no speaker '{strangers[0]}', as split '{split.name}' names in {part}. "
                    "Name speakers of the corpus."
                )
            absent = sorted(set(labels) - {utterance.label for utterance in split.select(utterances, part)})
            if absent and part == "train":
                raise CorpusError(
                    f"{where}: no training speaker of split '{split.name}' has the label '{absent[0]}', so it "
                    "cannot be learned. Give more speakers of it, other folds, or leave its utterances out."
                )
            if absent:
                warnings.append(f"{split.name}: no {part} speaker has {', '.join(absent)}; rates leave it out.")
    return tuple(warnings)
