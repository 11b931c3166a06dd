"""Speaker-disjoint splits: who trains, who stops training, who is reported.

A split is a file. It names speakers, never utterances, so an utterance cannot stray; its fingerprint covers the corpus
and the assignment, so neither can change unnoticed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from re import fullmatch
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from allophone.corpora.corpus import Corpus
from allophone.corpora.labels import deal_speakers, labelled_utterances, labels_of, speakers_of
from allophone.errors import CorpusError, UsageError
from allophone.files import first_problem, read_json, write_whole
from allophone.records.utterance import Utterance

__all__ = [
    "PARTS",
    "Part",
    "Split",
    "SplitFile",
    "check_shape",
    "check_speakers",
    "fixed_split",
    "make_folds",
    "read_splits",
    "write_splits",
]

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


SCHEMA_VERSION = 1
_FEWEST_SPEAKERS = len(PARTS)
VALIDATION_SHARE = 0.2  # of the speakers that are not tested on


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
        names = ", ".join(split.name for split in self.splits)
        raise UsageError(f"unknown split '{name}'; those of {self.corpus} are {names}")

    def digest(self) -> str:
        """SHA-256 over the corpus's fingerprint, its labels and every assignment."""
        fields = [self.corpus_fingerprint, list(self.labels), [split.model_dump() for split in self.splits]]
        return sha256(json.dumps(fields).encode()).hexdigest()


def make_folds(corpus: Corpus, *, folds: int = 5, seed: int = 0) -> SplitFile:
    """Divide the speakers into folds; split ``i`` tests on fold ``i`` and stops on a fifth of the other speakers.

    Labels are stratified as well as whole speakers allow (:func:`allophone.corpora.labels.deal_speakers`).

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
    if len(speakers) < _FEWEST_SPEAKERS:
        raise UsageError(
            f"{corpus.path}: has {len(speakers)} speaker{'s' if len(speakers) > 1 else ''}, and at least "
            f"{_FEWEST_SPEAKERS} are needed: one each to train on, to stop on and to test on."
        )
    if not 2 <= folds <= len(speakers):
        raise UsageError(
            f"{corpus.path}: {folds} folds of {len(speakers)} speakers: give 2 folds or more, up to one per speaker."
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
        LedgerError: The folder cannot be written; a file that was there is as it was.
    """
    write_whole(path, splits.model_dump_json(indent=1) + "\n")


def read_splits(path: Path, corpus: Corpus | None = None) -> SplitFile:
    """Read a split file and check it; one made by hand gets what it leaves out.

    By hand only ``splits`` is needed, each with ``name``, ``train``, ``validation`` and ``test``: a file without a
    ``fingerprint`` gets one, and from the corpus its labels and warnings.

    Args:
        path: What :func:`write_splits` or a user wrote.
        corpus: The corpus to be split; its fingerprint must be the file's, and the speakers must be its own.

    Raises:
        CorpusError: The file is damaged, names a speaker in two parts or one that the corpus lacks, or gives a name
            twice; the assignment or the corpus has changed since the file was made.
        UsageError: There is no such file, or a part of a split is empty.
    """
    fields = _read_object(path)
    by_hand = not fields.get("fingerprint")
    if by_hand and corpus is not None:
        labels = labels_of(labelled_utterances(corpus))
        known = {"corpus": corpus.source, "corpus_fingerprint": corpus.scan().fingerprint, "labels": labels, "seed": 0}
        fields = {**known, **fields, "fingerprint": ""}
    try:
        splits = SplitFile.model_validate(fields)
    except ValidationError as error:
        raise CorpusError(f"{path}: {first_problem(error)}. Restore the file or make a new split.") from None
    if splits.schema_version != SCHEMA_VERSION:
        raise CorpusError(
            f"{path}: field 'schema_version' is {splits.schema_version}, this allophone reads {SCHEMA_VERSION}. "
            "Make a new split."
        )
    check_shape(splits.splits, path)
    warnings = splits.warnings
    if corpus is not None:
        if corpus.scan().fingerprint != splits.corpus_fingerprint:
            raise CorpusError(f"{path}: was made for another corpus, or {corpus.path} has changed. Make a new split.")
        warnings = check_speakers(splits.splits, labelled_utterances(corpus, splits.labels), splits.labels, path)
    if by_hand:
        return splits.model_copy(update={"warnings": warnings, "fingerprint": splits.digest()})
    if splits.digest() != splits.fingerprint:
        raise CorpusError(
            f"{path}: field 'fingerprint' does not fit its assignment. Restore the file, or leave the field out of "
            "one that you changed on purpose."
        )
    return splits


def _read_object(path: Path) -> dict[str, Any]:
    fields = read_json(path, "Name a split file, or make a new split.", error=CorpusError)
    if not isinstance(fields, dict):
        raise CorpusError(f"{path}: holds no JSON object. Give one with the field 'splits', or make a new split.")
    return fields


def _file(corpus: Corpus, utterances: list[Utterance], splits: Sequence[Split], seed: int) -> SplitFile:
    labels = labels_of(utterances)
    check_shape(splits, corpus.path)
    made = SplitFile(
        corpus=corpus.source,
        corpus_fingerprint=corpus.scan().fingerprint,
        labels=labels,
        seed=seed,
        splits=tuple(splits),
        warnings=check_speakers(splits, utterances, labels, corpus.path),
    )
    return made.model_copy(update={"fingerprint": made.digest()})
