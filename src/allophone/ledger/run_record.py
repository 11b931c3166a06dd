"""``run.json``: what a run was asked to measure, on what, with what."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from allophone.errors import LedgerError
from allophone.files import first_problem
from allophone.records import OperatingPoint

__all__ = ["RUN_FILE", "SCHEMA_VERSION", "MachineStamp", "RunRecord", "machine_stamp", "read_run"]

SCHEMA_VERSION = 2
RUN_FILE = "run.json"
_STAMPED_PACKAGES = (
    "allophone",
    "ctranslate2",
    "faster-whisper",
    "onnxruntime",
    "av",
    "jiwer",
    "whisper-normalizer",
    "numpy",
    "torch",
    "transformers",
    "peft",
)


class MachineStamp(BaseModel):
    """The machine and the software that a run's times belong to."""

    model_config = ConfigDict(frozen=True)

    processor: str
    cores: int
    memory_bytes: int | None
    system: str
    python: str
    packages: dict[str, str]


class RunRecord(BaseModel):
    """Everything that must not change while a run is measured.

    ``space`` holds the axes as asked for; ``points`` what the plan made of them. Times are comparable only within one
    ``machine``, ``threads`` (0: by each model's size) and ``device``. ``cost`` is what a race or joint search judges
    by, else None; ``seed`` orders its utterances.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    task: Literal["asr"] = "asr"
    created: str
    corpus: str
    fingerprint: str
    n_utterances: int
    n_speakers: int
    duration_s: float | None
    plan: str
    space: dict[str, list[Any]]
    points: list[OperatingPoint]
    normalizer: str
    language: str
    relative_to: str | None
    device: str
    threads: int
    cost: str | None = None
    seed: int = 0
    machine: MachineStamp

    @property
    def quality_name(self) -> str:
        """What the error rate is called: WER, or a word error rate relative to a model's own transcripts."""
        return "WER" if self.relative_to is None else f"difference relative to {self.relative_to}"


def machine_stamp() -> MachineStamp:
    """Describe this machine and the versions of what runs on it."""
    packages = {}
    for package in _STAMPED_PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            continue
    return MachineStamp(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages=packages,
    )


def read_run(folder: Path) -> RunRecord:
    """Read ``run.json``.

    Raises:
        LedgerError: The folder is no run, the file is damaged, or another schema version wrote it.
    """
    path = folder / RUN_FILE
    if not folder.is_dir():
        raise LedgerError(f"{folder}: no such run. 'allophone sweep CORPUS --out {folder}' makes one.")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
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
    try:
        return RunRecord.model_validate(fields)
    except ValidationError as error:
        raise LedgerError(f"{path}: {first_problem(error)}. Restore it, or sweep into a new folder.") from None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
