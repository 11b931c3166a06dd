"""A saved operating point: what to run, and why it was chosen."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from allophone.errors import UsageError
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
    remedy = "'allophone recommend RUN --out point.json' makes one."
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). {remedy}") from None
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON ({error}). {remedy}") from None
    if not isinstance(fields, dict) or fields.get("schema_version") != POINT_SCHEMA_VERSION:
        found = fields.get("schema_version") if isinstance(fields, dict) else None
        raise UsageError(f"{path}: field 'schema_version' is {found}, expected {POINT_SCHEMA_VERSION}. {remedy}")
    try:
        return PointFile.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: field '{field}': {first['msg']}. {remedy}") from None
