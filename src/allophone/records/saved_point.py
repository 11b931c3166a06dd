"""A saved operating point: what to run, and why it was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from allophone.errors import UsageError
from allophone.files import load_json, read_record
from allophone.records.point import EmotionSetting, OperatingPoint, Setting

__all__ = [
    "DECISION_FILE",
    "POINT_SCHEMA_VERSION",
    "Certificate",
    "Decision",
    "EmotionPointFile",
    "PointFile",
    "read_decision",
    "read_point",
]

POINT_SCHEMA_VERSION = 1
DECISION_FILE = "decision.json"  # the last recommendation, in its run


class Certificate(BaseModel):
    """A certified limit: with probability ``confidence`` no certificate that is given on such a corpus is wrong.

    ``rate`` is a name of :data:`allophone.guarantee.certificate.RATES`, ``limit`` a fraction; ``estimand`` says what
    exactly is limited, under which ``assumption``, and ``bound`` why losses are bounded. ``greatest_loss`` is the
    largest stake on a speaker, ``measured`` the estimand as measured, ``n_clipped`` how many utterances have more
    errors than are counted. ``speakers`` are those heard, none where none was named; ``fingerprints`` the corpora's.
    ``order`` says in which order ``n_tested`` points or thresholds were tested, fixed before errors were looked at;
    there is no other seed. ``e_value`` is the evidence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: str
    limit: float
    confidence: float
    estimand: str
    assumption: str
    bound: str
    greatest_loss: float
    measured: float
    n_clipped: int
    n_speakers: int
    n_utterances: int
    speakers: list[str]
    fingerprints: list[str]
    order: str
    n_tested: int
    e_value: float


class Decision(BaseModel):
    """What saved settings of every task have in common.

    ``measured`` holds the objectives that were measured, in base units; ``quality_name`` says what the quality is
    called. ``probability`` is that of meeting all constraints of the question, ``confidence`` the one asked for; both
    are None where the constraints were taken as measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = POINT_SCHEMA_VERSION
    question: str = ""
    explanation: list[str] = []
    quality_name: str = ""
    confidence: float | None = None
    probability: float | None = None
    measured: dict[str, float | None] = {}
    corpus: str = ""
    fingerprint: str = ""
    processor: str = ""
    point: Setting

    def how_to_run(self, path: Path | None) -> str | None:
        """Say how to run what was chosen, or None where it must be saved first.

        Args:
            path: Where this is saved, or None.
        """
        raise NotImplementedError


class PointFile(Decision):
    """The contents of ``point.json``: an operating point of speech recognition.

    ``quality_name`` says whether the error rate is WER or relative to a model. Where a policy was chosen, ``policy`` is
    its folder and ``point`` its first point. ``transcripts_sha256`` is the digest of the human transcripts that error
    rates were estimated from, where they were. ``certificates`` are the limits that were certified.
    ``weights_sha256`` is the digest of the weights that were measured, ``model_folder`` the whole path of a model that
    the point names by a folder; files of before lack both.
    """

    point: OperatingPoint
    policy: str | None = None
    transcripts_sha256: str | None = None
    language: str = "en"
    certificates: list[Certificate] = []
    weights_sha256: str | None = None
    model_folder: str | None = None

    def how_to_run(self, path: Path | None) -> str | None:
        """Say how to transcribe with it, or None where it must be saved first."""
        if self.policy is not None:
            return f"Run it with: allophone transcribe --policy {self.policy} AUDIO..."
        return None if path is None else f"Saved. Run it with: allophone transcribe --point {path} AUDIO..."


class EmotionPointFile(Decision):
    """A setting of emotion recognition, which must be trained before it can run: ``command`` trains it."""

    task: Literal["emotion"] = "emotion"
    point: EmotionSetting
    command: str = ""

    def how_to_run(self, path: Path | None) -> str | None:
        """Say how to train it."""
        del path
        return f"Train it on all speakers but one: {self.command}"


def read_point(path: Path) -> PointFile:
    """Read a saved operating point of speech recognition.

    Raises:
        UsageError: The file is missing, not JSON, of another schema version, of emotion recognition, or has an
            impossible field.
    """
    found = read_decision(path)
    if not isinstance(found, PointFile):
        raise UsageError(
            f"{path}: field 'task': a setting of emotion recognition, which does not transcribe. "
            f"{found.how_to_run(path)}"
        )
    return found


def read_decision(path: Path) -> Decision:
    """Read a saved setting of either task.

    Raises:
        UsageError: The file is missing, not JSON, of another schema version, or has an impossible field.
    """
    remedy = "'allophone recommend RUN --out point.json' makes one."
    return read_record(path, _KINDS.get(_task_of(path), PointFile), POINT_SCHEMA_VERSION, remedy)


_KINDS: dict[str, type[Decision]] = {"emotion": EmotionPointFile}  # what names no task is of speech recognition


def _task_of(path: Path) -> str:
    try:
        fields = load_json(path)
    except (OSError, ValueError):  # reported by whoever reads the record
        return ""
    return str(fields.get("task", "")) if isinstance(fields, dict) else ""
