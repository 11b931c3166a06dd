"""Machine stamp: the machine and the software that measurements belong to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

__all__ = ["MachineStamp", "machine_stamp"]

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
