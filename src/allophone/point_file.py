"""A saved operating point: what to run, and why it was chosen."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from allophone.files import read_record
from allophone.records import OperatingPoint

__all__ = ["DECISION_FILE", "POINT_SCHEMA_VERSION", "PointFile", "read_point"]

POINT_SCHEMA_VERSION = 1
DECISION_FILE = "decision.json"  # the last recommendation, in its run


class PointFile(BaseModel):
    """The contents of ``point.json``.

    ``measured`` holds the objectives that were measured, in base units; ``quality_name`` says whether the error rate is
    WER or relative to a model. ``probability`` is that of meeting all constraints of the question,
    ``confidence`` the one asked for; both are None where the constraints were taken as measured. Where a policy was
    chosen, ``policy`` is its folder and ``point`` its first point.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = POINT_SCHEMA_VERSION
    point: OperatingPoint
    policy: str | None = None
    language: str = "en"
    question: str = ""
    explanation: list[str] = []
    quality_name: str = ""
    confidence: float | None = None
    probability: float | None = None
    measured: dict[str, float | None] = {}
    corpus: str = ""
    fingerprint: str = ""
    processor: str = ""


def read_point(path: Path) -> PointFile:
    """Read a saved operating point.

    Raises:
        UsageError: The file is missing, not JSON, of another schema version, or has an impossible field.
    """
    return read_record(path, PointFile, POINT_SCHEMA_VERSION, "'allophone recommend RUN --out point.json' makes one.")
