"""A policy on disk: ``policy.json``, its model card, beside the ONNX models that score the steps."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from allophone.errors import UsageError, WeightsError
from allophone.files import file_sha256, read_record, write_whole
from allophone.models.engine import FAKE_PREFIX
from allophone.models.moonshine_weights import resolve_moonshine
from allophone.models.weights import resolve_weights
from allophone.moonshine_dimensions import MOONSHINE_MODELS
from allophone.records import OperatingPoint

__all__ = [
    "POLICY_FILE",
    "POLICY_SCHEMA_VERSION",
    "Calibration",
    "PolicyFile",
    "PolicyKind",
    "Training",
    "check_weights",
    "read_policy",
    "weights_digest",
    "write_policy",
]

POLICY_FILE = "policy.json"
POLICY_SCHEMA_VERSION = 1
PolicyKind = Literal["cascade", "decider", "faithful"]
DeciderInput = Literal["encoder", "mel"]


class Training(BaseModel):
    """Where a policy's regressors come from.

    ``candidates`` holds the share of the oracle's gain that each candidate recovered in cross-validation, by name;
    ``label_shares`` the shares of training utterances on which the last point was better, equal and worse than the
    first. ``held_out`` speakers were kept from training, to calibrate on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: list[str]
    fingerprints: list[str]
    n_utterances: int
    speakers: list[str]
    held_out: list[str]
    folds: int
    seed: int
    regressor: str
    candidates: dict[str, float | None]
    recovered_share: float | None
    recovered_interval: tuple[float | None, float | None]
    label_shares: tuple[float, float, float]
    warnings: list[str] = []


class Calibration(BaseModel):
    """Why the threshold is where it is: the wish, and what held-out speakers showed at it, with 95 % intervals.

    ``wer`` is a fraction, ``gflops`` and ``seconds`` are means an utterance, ``big_share`` is the share of utterances
    that reach the last point.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: Literal["wer", "gflops", "big_share"]
    value: float
    runs: list[str]
    n_utterances: int
    n_speakers: int
    threshold_interval: tuple[float, float]
    wer: tuple[float, float, float]
    gflops: tuple[float, float, float]
    seconds: tuple[float, float, float]
    big_share: tuple[float, float, float]
    warnings: list[str] = []


class PolicyFile(BaseModel):
    """The contents of ``policy.json``.

    An utterance climbs from point k to the next while its score of step k is above ``threshold``. A score is the word
    errors that the step is predicted to save, divided by its expected GFLOPs where ``per_gflop``;
    ``gflops_by_duration`` holds, for every point, the coefficients of 1, d and d² for d seconds of audio, and last
    those of the first point's encoder. A ``faithful`` policy has one step, whose score is the probability that the
    first point makes more errors. ``choices`` are models that pick between the transcripts of two neighbouring
    points once both have run. ``duration_s`` and ``score_range`` say what training saw: the least and the greatest
    duration, and for every step the 0.5 % and 99.5 % quantiles of its score. ``weights`` holds SHA-256 by model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = POLICY_SCHEMA_VERSION
    kind: PolicyKind
    reads: Literal["reading", "encoder", "mel", "big_encoder"]
    points: list[OperatingPoint]
    language: str
    weights: dict[str, str]
    steps: list[str]
    choices: list[str] = []
    per_gflop: bool
    gflops_by_duration: list[tuple[float, float, float]]
    overhead_flops: float
    overhead_flops_per_audio_s: float = 0.0
    overhead_s: float
    overhead_s_per_audio_s: float = 0.0
    threshold: float = 0.0
    duration_s: tuple[float, float]
    score_range: list[tuple[float, float]]
    training: Training
    calibration: Calibration | None = None


def weights_digest(model: str) -> str:
    """Return the SHA-256 of a model's ``model.bin`` or ONNX files; of the name alone for the fake engine.

    Raises:
        WeightsError: The weights are not to be found.
        MissingExtraError: The package that brings them is missing.
    """
    if model.startswith(FAKE_PREFIX):
        return sha256(model.encode()).hexdigest()
    if model in MOONSHINE_MODELS:
        return resolve_moonshine(model).sha256
    return file_sha256(resolve_weights(model).folder / "model.bin")


def check_weights(policy: PolicyFile, folder: Path) -> None:
    """Refuse a policy whose points' weights are not those that it was trained on.

    Raises:
        WeightsError: They are missing or have changed; the message names the model.
    """
    for model, expected in policy.weights.items():
        if weights_digest(model) != expected:
            raise WeightsError(
                f"{folder / POLICY_FILE}: field 'weights': {model} has changed since this policy was trained. Train "
                "the policy again, or put the old weights back."
            )


def read_policy(folder: Path) -> PolicyFile:
    """Read a policy's card.

    Raises:
        UsageError: No policy lies there, or a field is wrong; the message names file, field and remedy.
    """
    path = folder / POLICY_FILE
    remedy = "'allophone route train RUN --points A,B --out FOLDER' makes one."
    policy = read_record(path, PolicyFile, POLICY_SCHEMA_VERSION, remedy)
    for name in [*policy.steps, *policy.choices]:
        if not (folder / name).is_file():
            raise UsageError(f"{folder / name}: missing; the policy is not whole. {remedy}")
    return policy


def write_policy(folder: Path, policy: PolicyFile) -> None:
    """Write the card; the models lie beside it already.

    Raises:
        LedgerError: The folder cannot be written.
    """
    write_whole(folder / POLICY_FILE, policy.model_dump_json(indent=1) + "\n")
