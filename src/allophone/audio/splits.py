"""Which speakers train, which stop training and which are reported: splits that no speaker crosses.

A split is a file. It names speakers, never utterances, so an utterance cannot stray; its fingerprint covers the corpus
and the assignment, so neither can change unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from allophone.audio.corpus import Corpus
from allophone.audio.labels import labelled_utterances, labels_of
from allophone.audio.stratify import deal_speakers, speakers_of
from allophone.errors import CorpusError, UsageError
from allophone.files import first_problem
from allophone.records import Utterance

__all__ = ["PARTS", "Part", "Split", "SplitFile", "fixed_split", "make_folds", "read_splits", "write_splits"]

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
SCHEMA_VERSION = 1
VALIDATION_SHARE = 0.2  # of the speakers that are not tested on


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


class SplitFile(BaseModel):
    """Splits of one corpus, as written to disk.

    ``labels`` are the corpus's, sorted: a class number is a place in it. ``warnings`` say which parts lack a label.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    corpus: str
    corpus_fingerprint: str
    labels: tuple[str, ...]
    seed: int
    splits: tuple[Split, ...]
    warnings: tuple[str, ...] = ()
    fingerprint: str = ""

    def split(self, name: str) -> Split:
        """Return the split called ``name``.

        Raises:
            UsageError: There is none; the message lists them.
        """
        for split in self.splits:
            if split.name == name:
                return split
        raise UsageError(f"unknown split '{name}'; this file has {', '.join(split.name for split in self.splits)}")

    def digest(self) -> str:
        """SHA-256 over the corpus's fingerprint, its labels and every assignment."""
        fields = [self.corpus_fingerprint, list(self.labels), [split.model_dump() for split in self.splits]]
        return sha256(json.dumps(fields).encode()).hexdigest()


def make_folds(corpus: Corpus, *, folds: int = 5, seed: int = 0) -> SplitFile:
    """Divide the speakers into folds; split ``i`` tests on fold ``i`` and stops on a fifth of the other speakers.

    Labels are stratified as well as whole speakers allow (:func:`allophone.audio.stratify.deal_speakers`).

    Args:
        corpus: Every utterance has a label and a speaker.
        folds: Number of splits; every speaker is tested on once.
        seed: Breaks ties between equal speakers.

    Raises:
        CorpusError: The corpus cannot be learned from, or a label has no training utterance in some fold.
        UsageError: Fewer than two folds, or fewer speakers than every part of every split needs.
    """
    utterances = labelled_utterances(corpus)
    speakers = speakers_of(utterances)
    if folds < 2 or len(speakers) < max(folds, 3):
        raise UsageError(
            f"{folds} folds of {len(speakers)} speakers: give at least 2 folds, as many speakers as folds or more, and "
            "at least 3 speakers, so that each part has one."
        )
    dealt = deal_speakers(utterances, [1.0] * folds, seed)
    splits = []
    for number, test in enumerate(dealt):
        rest = [utterance for utterance in utterances if utterance.speaker not in set(test)]
        train, validation = deal_speakers(rest, [1 - VALIDATION_SHARE, VALIDATION_SHARE], seed)
        splits.append(Split(name=f"fold-{number}", train=train, validation=validation, test=test))
    return _file(corpus, utterances, splits, seed)


def fixed_split(
    corpus: Corpus, *, test: Sequence[str], validation: Sequence[str] | None = None, seed: int = 0
) -> SplitFile:
    """Split by speakers that the user names; all others train.

    Args:
        corpus: Every utterance has a label and a speaker.
        test: Speakers to report on.
        validation: Speakers to stop on; without them a fifth of the others is drawn, stratified by label.
        seed: Breaks ties between equal speakers.

    Raises:
        CorpusError: The corpus cannot be learned from, a named speaker is not in it or is in two parts, or a label has
            no training utterance.
        UsageError: No speaker is left for some part.
    """
    utterances = labelled_utterances(corpus)
    rest = [utterance for utterance in utterances if utterance.speaker not in {*test, *(validation or ())}]
    if validation is None:
        if len(speakers_of(rest)) < 2:
            raise UsageError("fewer than two speakers are left beside the test speakers: none to train or to stop on.")
        train, chosen = deal_speakers(rest, [1 - VALIDATION_SHARE, VALIDATION_SHARE], seed)
    else:
        train, chosen = speakers_of(rest), tuple(sorted(validation))
    split = Split(name="fixed", train=train, validation=chosen, test=tuple(sorted(test)))
    return _file(corpus, utterances, [split], seed)


def write_splits(path: Path, splits: SplitFile) -> None:
    """Write a split file.

    Raises:
        CorpusError: The folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(splits.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"{path}: cannot be written ({error.strerror}). Choose another folder.") from None


def read_splits(path: Path, corpus: Corpus | None = None) -> SplitFile:
    """Read a split file and check it.

    Args:
        path: What :func:`write_splits` wrote.
        corpus: The corpus to be split; its fingerprint must be the file's.

    Raises:
        CorpusError: The file is damaged, a speaker is in two parts, the assignment or the corpus has changed.
        UsageError: There is no such file.
    """
    try:
        splits = SplitFile.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). Name a split file.") from None
    except ValidationError as error:
        raise CorpusError(f"{path}: {first_problem(error)}. Restore the file or make a new split.") from None
    if splits.schema_version != SCHEMA_VERSION:
        raise CorpusError(
            f"{path}: field 'schema_version' is {splits.schema_version}, this allophone reads {SCHEMA_VERSION}. "
            "Make a new split."
        )
    for split in splits.splits:
        _check_disjoint(split, str(path))
    if splits.digest() != splits.fingerprint:
        raise CorpusError(f"{path}: field 'fingerprint' does not fit its assignment. Restore it or make a new split.")
    if corpus is not None and corpus.scan().fingerprint != splits.corpus_fingerprint:
        raise CorpusError(f"{path}: was made for another corpus, or {corpus.path} has changed. Make a new split.")
    return splits


def _file(corpus: Corpus, utterances: list[Utterance], splits: Sequence[Split], seed: int) -> SplitFile:
    labels = labels_of(utterances)
    known = speakers_of(utterances)
    warnings = []
    for split in splits:
        _check_disjoint(split, str(corpus.path))
        for part in PARTS:
            speakers = getattr(split, part)
            if strangers := [speaker for speaker in speakers if speaker not in known]:
                raise CorpusError(f"{corpus.path}: names no speaker '{strangers[0]}'. Name speakers of the corpus.")
            if not speakers:
                raise UsageError(f"split '{split.name}' leaves no speaker for {part}. Name fewer for the other parts.")
            absent = sorted(set(labels) - {utterance.label for utterance in split.select(utterances, part)})
            if absent and part == "train":
                raise CorpusError(
                    f"{corpus.path}: no training speaker of split '{split.name}' has the label '{absent[0]}', so it "
                    "cannot be learned. Give more speakers of it, other folds, or leave its utterances out."
                )
            if absent:
                warnings.append(f"{split.name}: no {part} speaker has {', '.join(absent)}; rates leave it out.")
    made = SplitFile(
        corpus=corpus.source,
        corpus_fingerprint=corpus.scan().fingerprint,
        labels=labels,
        seed=seed,
        splits=tuple(splits),
        warnings=tuple(warnings),
    )
    return made.model_copy(update={"fingerprint": made.digest()})


def _check_disjoint(split: Split, where: str) -> None:
    parts: dict[str, Part] = {}
    for part in PARTS:
        for speaker in getattr(split, part):
            if speaker in parts:
                raise CorpusError(
                    f"{where}: split '{split.name}' has speaker '{speaker}' in {parts[speaker]} and in {part}. "
                    "A speaker belongs to one part; mend or make the split anew."
                )
            parts[speaker] = part
