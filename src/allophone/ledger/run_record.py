"""``run.json``: what a run was asked to measure, on what, with what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from allophone.errors import LedgerError, UsageError
from allophone.files import first_problem, load_json
from allophone.ledger.machine import MachineStamp, machine_stamp
from allophone.records.measurement import EmotionMeasurement, Measurement
from allophone.records.names import title_of
from allophone.records.point import EmotionSetting, OperatingPoint

__all__ = [
    "LOCK_FILE",
    "RUN_FILE",
    "SCHEMA_VERSION",
    "AnyRunRecord",
    "EmotionRunRecord",
    "MachineStamp",
    "RunRecord",
    "machine_stamp",
    "read_any_run",
    "read_emotion_run",
    "read_run",
]

SCHEMA_VERSION = 2
RUN_FILE = "run.json"
LOCK_FILE = ".lock"  # held while a sweep writes the run


class _Run(BaseModel):
    """What runs of every task have in common, none of which may change while a run is measured.

    ``space`` holds the axes as asked for. Times are comparable only within one ``machine``, ``threads`` (0: the
    engine's choice) and ``device``. ``cost`` is what a race or joint search judges by, else None.
    """

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


class RunRecord(_Run):
    """A run of speech recognition.

    ``points`` are what the plan made of the axes; ``seed`` orders the utterances of a race or joint search.
    ``speakers`` says what inferred, from voices, the speakers that the corpus does not name; None: nothing did.
    ``weights`` holds the SHA-256 of every model's weights as measured, ``revisions`` the hub's revision of those that
    came from there; runs of before lack both.
    """

    row: ClassVar[type[Measurement]] = Measurement
    keys: ClassVar[tuple[str, ...]] = ("utterance_index",)

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


class EmotionRunRecord(_Run):
    """A run of emotion recognition: every point is trained in every fold and with every seed.

    ``points`` are what the plan made of the axes. ``folds`` are names of splits in the run's ``split.json``, whose
    test speakers differ, so that an utterance has one row per point and seed; ``n_tested`` utterances are theirs.
    ``recipes`` holds how each point is trained, seeds left out. ``seed`` is the first of ``seeds``.
    """

    row: ClassVar[type[EmotionMeasurement]] = EmotionMeasurement
    keys: ClassVar[tuple[str, ...]] = ("utterance_index", "seed")

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

    def title_of(self, objective: str, title: str) -> str:
        """Return what an objective is called in this run: its own title."""
        del objective
        return title

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


AnyRunRecord = RunRecord | EmotionRunRecord
_RECORDS: dict[str, type[RunRecord] | type[EmotionRunRecord]] = {"asr": RunRecord, "emotion": EmotionRunRecord}


def read_run(folder: Path) -> RunRecord:
    """Read ``run.json`` of a run of speech recognition.

    Raises:
        LedgerError: The folder is no run, the file is damaged, or another schema version wrote it.
        UsageError: It is a run of emotion recognition.
    """
    record = read_any_run(folder)
    if isinstance(record, EmotionRunRecord):
        raise UsageError(
            f"{folder}: field 'task': a run of emotion recognition, and this is for speech recognition alone. "
            "frontier, recommend, diagnose, report and 'route emotion' read it."
        )
    return record


def read_emotion_run(folder: Path) -> EmotionRunRecord:
    """Read ``run.json`` of a run of emotion recognition.

    Raises:
        LedgerError: As :func:`read_run`.
        UsageError: It is a run of speech recognition.
    """
    record = read_any_run(folder)
    if isinstance(record, RunRecord):
        raise UsageError(
            f"{folder}: field 'task': a run of speech recognition, and this is for emotion recognition. Name a run "
            "that 'allophone sweep --task emotion' wrote."
        )
    return record


def read_any_run(folder: Path) -> AnyRunRecord:
    """Read ``run.json``, whatever the task.

    Raises:
        LedgerError: The folder is no run, the file is damaged, or another schema version wrote it.
    """
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
