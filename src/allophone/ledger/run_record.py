"""``run.json``: what a run was asked to measure, on what, with what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, overload

from pydantic import BaseModel, ConfigDict, ValidationError

from allophone.errors import LedgerError, UsageError
from allophone.files import first_problem, load_json
from allophone.ledger.machine import MachineStamp, machine_stamp
from allophone.records.measurement import EmotionMeasurement, Measurement
from allophone.records.names import title_of
from allophone.records.point import EmotionSetting, OperatingPoint, Setting, Task

__all__ = [
    "LOCK_FILE",
    "RUN_FILE",
    "SCHEMA_VERSION",
    "EmotionRunRecord",
    "MachineStamp",
    "RecognitionRunRecord",
    "RunRecord",
    "error_heading",
    "machine_stamp",
    "read_run",
]

SCHEMA_VERSION = 2
RUN_FILE = "run.json"
LOCK_FILE = ".lock"  # held while a sweep writes the run


class RunRecord(BaseModel):
    """A run of either task; nothing in it may change while the run is measured.

    ``space`` holds the axes as asked for. Times are comparable only within one ``machine``, ``threads`` (0: the
    engine's choice) and ``device``. ``cost`` is what a race or joint search judges by, else None. ``points`` are what
    the plan made of the axes. ``row`` is what the ledger holds of a measurement; ``keys`` are its fields that tell the
    rows of a point apart, ``reference`` the one that holds what is right. ``recognises`` names the task in words,
    ``refusal`` says what a reader of this task alone tells someone who names a run of another.
    """

    row: ClassVar[type[Measurement] | type[EmotionMeasurement]]
    keys: ClassVar[tuple[str, ...]]
    reference: ClassVar[str]
    recognises: ClassVar[str]
    refusal: ClassVar[str]

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    created: str
    corpus: str
    fingerprint: str
    n_utterances: int
    n_speakers: int
    duration_s: float | None
    plan: str
    space: dict[str, list[Any]]
    device: str
    threads: int
    cost: str | None = None
    seed: int = 0
    machine: MachineStamp
    task: Task
    points: Sequence[Setting]

    @property
    def corpus_title(self) -> str:
        """The corpus without the folders that lead to it: the last two parts of its path, or a data set's name."""
        return self.corpus if self.corpus.startswith("hf:") else "/".join(Path(self.corpus).parts[-2:])

    @property
    def quality_name(self) -> str:
        """What the quality objective is called in this run."""
        raise NotImplementedError

    def title_of(self, objective: str, title: str) -> str:
        """Return what an objective is called in this run.

        Args:
            objective: Its name.
            title: What it is called elsewhere.
        """
        del objective
        return title

    def heading_of(self, objective: str, heading: str) -> str:
        """Return what heads an objective's column in tables of this run.

        Args:
            objective: Its name.
            heading: What heads it elsewhere.
        """
        del objective
        return heading

    @property
    def n_rows(self) -> int:
        """Rows of a finished point."""
        return self.n_utterances

    @property
    def n_slots(self) -> int:
        """Places that rows of a point may have."""
        return self.n_utterances

    def slot(self, key: tuple[int, ...]) -> int:
        """Place of a row by its ``keys``."""
        return key[0]


class RecognitionRunRecord(RunRecord):
    """A run of speech recognition.

    ``seed`` orders the utterances of a race or joint search.
    ``speakers`` says what inferred, from voices, the speakers that the corpus does not name; None: nothing did.
    ``weights`` holds the SHA-256 of every model's weights as measured, ``revisions`` the hub's revision of those that
    came from there; runs of before lack both.
    """

    row = Measurement
    keys = ("utterance_index",)
    reference = "reference"
    recognises = "speech"
    refusal = "this is for speech recognition alone. frontier, recommend, diagnose, report and 'route emotion' read it."

    task: Literal["asr"] = "asr"
    points: list[OperatingPoint]
    normalizer: str
    language: str
    relative_to: str | None
    speakers: str | None = None
    weights: dict[str, str] = {}
    revisions: dict[str, str] = {}

    @property
    def quality_name(self) -> str:
        """What the error rate is called: WER, or a word error rate relative to a model's own transcripts."""
        if self.relative_to is not None:
            return f"difference relative to {title_of(self.relative_to)}"
        return "CER" if self.normalizer == "characters" else "WER"

    def title_of(self, objective: str, title: str) -> str:
        """Return what an objective is called in this run: its own title, or for an error rate what is counted.

        Args:
            objective: Its name.
            title: What it is called elsewhere.
        """
        if objective not in ("wer", "cer"):
            return title
        characters = objective == "cer" or self.normalizer == "characters"
        if self.relative_to is not None:
            return f"{'character ' if characters else ''}error rate relative to {title_of(self.relative_to)}"
        return "character error rate" if characters else "word error rate"

    def heading_of(self, objective: str, heading: str) -> str:
        """Return what heads an objective's column: for error rates relative to a model, that they are differences."""
        return error_heading(objective, heading, self.quality_name, self.relative_to)


def error_heading(objective: str, heading: str, quality_name: str, relative_to: str | None) -> str:
    """Return what heads an objective's column: error rates relative to a model are differences, never WER.

    Args:
        objective: Its name.
        heading: What heads it elsewhere.
        quality_name: What the run calls its error rate.
        relative_to: Id of the point whose transcripts stand in for references, or None.
    """
    if objective == "wer":
        return f"{quality_name} %" if relative_to is None else "diff. %"
    return "char. diff. %" if objective == "cer" and relative_to is not None else heading


class EmotionRunRecord(RunRecord):
    """A run of emotion recognition: every point is trained in every fold and with every seed.

    ``folds`` are names of splits in the run's ``split.json``, whose test speakers differ, so that an utterance has one
    row per point and seed; ``n_tested`` utterances are theirs. ``recipes`` holds how each point is trained, seeds left
    out. ``seed`` is the first of ``seeds``.
    """

    row = EmotionMeasurement
    keys = ("utterance_index", "seed")
    reference = "label"
    recognises = "emotion"
    refusal = "this is for emotion recognition. Name a run that 'allophone sweep --task emotion' wrote."

    task: Literal["emotion"] = "emotion"
    points: list[EmotionSetting]
    labels: tuple[str, ...]
    split_fingerprint: str
    folds: tuple[str, ...]
    seeds: tuple[int, ...]
    n_tested: int
    recipes: dict[str, dict[str, Any]]
    precision: str

    @property
    def quality_name(self) -> str:
        """What the quality objective is called."""
        return "UAR"

    @property
    def n_rows(self) -> int:
        """Rows of a finished point."""
        return self.n_tested * len(self.seeds)

    @property
    def n_slots(self) -> int:
        """Places that rows of a point may have."""
        return self.n_utterances * len(self.seeds)

    def slot(self, key: tuple[int, ...]) -> int:
        """Place of a row by its ``keys``."""
        return self.seeds.index(key[1]) * self.n_utterances + key[0]


_RECORDS: dict[str, type[RunRecord]] = {"asr": RecognitionRunRecord, "emotion": EmotionRunRecord}
Record = TypeVar("Record", bound=RunRecord)


@overload
def read_run(folder: Path) -> RunRecord: ...


@overload
def read_run(folder: Path, kind: type[Record]) -> Record: ...


def read_run(folder: Path, kind: type[RunRecord] = RunRecord) -> RunRecord:
    """Read ``run.json``.

    Args:
        folder: The run folder.
        kind: The record of the task that the run must be of; any where it is left out.

    Raises:
        LedgerError: The folder is no run, the file is damaged, or another schema version wrote it.
        UsageError: It is a run of another task.
    """
    record = _read_record(folder)
    if not isinstance(record, kind):
        raise UsageError(f"{folder}: field 'task': a run of {record.recognises} recognition, and {kind.refusal}")
    return record


def _read_record(folder: Path) -> RunRecord:
    path = folder / RUN_FILE
    if not os.path.isdir(folder):  # unlike Path.is_dir it says no, too, where one may not look
        raise LedgerError(f"{folder}: no such run. 'allophone sweep CORPUS --out {folder}' makes one.")
    try:
        fields = load_json(path)
    except FileNotFoundError:
        raise LedgerError(
            f"{folder}: holds no {RUN_FILE}, so it is not a run. Name a folder that a sweep wrote."
        ) from None
    except (OSError, ValueError) as error:
        raise LedgerError(
            f"{path}: cannot be read ({error}). Restore it from a copy, or sweep into a new folder."
        ) from None
    found = fields.get("schema_version") if isinstance(fields, dict) else None
    if found != SCHEMA_VERSION:
        raise LedgerError(
            f"{path}: field 'schema_version' is {found}, this allophone reads {SCHEMA_VERSION}. "
            "Use the version that wrote it, or sweep into a new folder."
        )
    kind = _RECORDS.get(str(fields.get("task", "asr")))
    if kind is None:
        raise LedgerError(f"{path}: field 'task' is {fields['task']}; known: {', '.join(_RECORDS)}. Restore it.")
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise LedgerError(f"{path}: {first_problem(error)}. Restore it, or sweep into a new folder.") from None
