"""Policy folder: ``policy.json``, its model card, beside the ONNX models that score the steps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from math import isfinite, isnan
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from allophone.arrays import FloatArray
from allophone.errors import LedgerError, UsageError, WeightsError
from allophone.files import file_sha256, load_json, read_record, whole_file, write_whole
from allophone.ledger.run_record import RecognitionRunRecord, read_run
from allophone.measure.blocks import draw_blocks
from allophone.models.weights_digest import weights_digest
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import Certificate
from allophone.routing.samples import RecognitionRouteSamples

__all__ = [
    "POLICY_FILE",
    "POLICY_SCHEMA_VERSION",
    "RETRAIN",
    "Calibration",
    "CalibrationFigures",
    "PolicyFile",
    "PolicyKind",
    "Training",
    "check_weights",
    "policy_card",
    "read_policy",
    "write_models",
    "write_policy",
]


def policy_card(
    everything: RecognitionRouteSamples,
    samples: RecognitionRouteSamples,
    kind: PolicyKind,
    reads: Literal["encoder", "mel", "big_encoder"],
    *,
    folds: int,
    seed: int,
) -> PolicyFile:
    """Return a policy's card without its models: what it was trained on, what its points cost by duration.

    Args:
        everything: All utterances of the runs.
        samples: Those that train.
        kind: As in :class:`PolicyFile`.
        reads: Likewise; a cascade's is its transcripts.
        folds: Of the cross-validation.
        seed: Of folds and networks.
    """
    saved = samples.errors[0] - samples.errors[-1]
    trained = sorted({speaker for speaker in samples.speakers if speaker is not None})
    held = sorted({speaker for speaker in everything.speakers if speaker is not None} - set(trained))
    flops = np.concatenate([samples.flops, samples.encoder_flops[:1]]) / 1e9
    warning = draw_blocks(samples.speakers, n_replicates=1).warning
    return PolicyFile(
        kind=kind,
        reads="reading" if kind == "cascade" else reads,
        points=list(samples.points),
        language=read_run(samples.runs[0], RecognitionRunRecord).language,
        weights={point.model: weights_digest(point.model) for point in samples.points},
        steps=[],
        per_gflop=False,
        gflops_by_duration=[_quadratic(samples.duration_s, line) for line in flops],
        overhead_flops=0.0,
        overhead_s=0.0,
        duration_s=(float(samples.duration_s.min()), float(samples.duration_s.max())),
        score_range=[],
        training=Training(
            runs=[str(folder) for folder in samples.runs],
            fingerprints=[read_run(folder, RecognitionRunRecord).fingerprint for folder in samples.runs],
            n_utterances=len(samples),
            speakers=trained,
            held_out=held,
            folds=folds,
            seed=seed,
            regressor="",
            candidates={},
            recovered_share=None,
            recovered_interval=(None, None),
            label_shares=(float((saved > 0).mean()), float((saved == 0).mean()), float((saved < 0).mean())),
            warnings=[warning] if warning else [],
        ),
    )


def _quadratic(duration_s: FloatArray, gflops: FloatArray) -> tuple[float, float, float]:
    """Fit GFLOPs as a polynomial of seconds: windows, encoder layers, attention."""
    powers = np.stack([np.ones_like(duration_s), duration_s, duration_s**2], axis=1)
    fitted = np.linalg.lstsq(powers, gflops, rcond=None)[0].tolist()
    return (fitted[0], fitted[1], fitted[2])


POLICY_FILE = "policy.json"
POLICY_SCHEMA_VERSION = 1
RETRAIN = "'allophone route train RUN --points A,B --out FOLDER' makes one."
PolicyKind = Literal["cascade", "decider", "faithful"]
_READS = {"cascade": {"reading"}, "decider": {"encoder", "mel"}, "faithful": {"encoder", "mel", "big_encoder"}}


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


class CalibrationFigures(BaseModel):
    """What a policy does to some speakers: estimate and ends of the 95 % interval.

    ``wer`` is a fraction, ``gflops`` and ``seconds`` are means per utterance, ``big_share`` is the share of utterances
    that reach the last point.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wer: tuple[float, float, float]
    gflops: tuple[float, float, float]
    seconds: tuple[float, float, float]
    big_share: tuple[float, float, float]


class Calibration(CalibrationFigures):
    """Why the threshold is where it is: the target, with what probability new speakers keep it, and what was measured.

    Its own figures are of the speakers that set the threshold, so they flatter it. ``cross_fitted`` are those to
    expect: every fold of speakers at the threshold that the other folds set, which are the ``fold_thresholds``; in
    ``folds_unmet`` of them the others did not suffice to promise the target, and the nearest threshold stood in.
    ``forced``: there were too few speakers for any promise. Cards of versions that promised nothing have no
    ``confidence``, but the ``threshold_interval`` of resampled speakers.
    """

    target: Literal["wer", "gflops", "big_share"]
    value: float
    confidence: float | None = None
    forced: bool = False
    runs: list[str]
    n_utterances: int
    n_speakers: int
    threshold_interval: tuple[float, float] | None = None
    cross_fitted: CalibrationFigures | None = None
    fold_thresholds: list[float] = []
    folds_unmet: int = 0
    warnings: list[str] = []


class PolicyFile(BaseModel):
    """The contents of ``policy.json``.

    An utterance escalates from point k to the next while its score of step k is above ``threshold``. A score is the
    word errors that the step is predicted to save, divided by its expected GFLOPs where ``per_gflop``;
    ``gflops_by_duration`` holds, for every point, the coefficients of 1, d and d² for d seconds of audio, and last
    those of the first point's encoder. A ``faithful`` policy has one step, whose score is the probability that the
    first point makes more errors. ``choices`` are models that pick between the transcripts of two neighbouring points
    once both have run. ``duration_s`` and ``score_range`` say what training saw: the least and the greatest duration,
    and for every step the 0.5 % and 99.5 % quantiles of its score. ``weights`` holds SHA-256 by model, ``files_sha256``
    those of the steps and choices by name; cards of before lack it. A threshold has a ``calibration`` or, where it was
    set to keep limits for certain, ``certificates``.
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
    certificates: list[Certificate] = []
    files_sha256: dict[str, str] | None = None


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
    """Read a policy's card, and make sure that its models are there, and are those that it was written with.

    Raises:
        UsageError: No policy lies there, a field is wrong, or a model is missing or another one; the message names
            file, field and remedy.
    """
    path = folder / POLICY_FILE
    policy = read_record(path, PolicyFile, POLICY_SCHEMA_VERSION, RETRAIN)
    if problem := _problem(policy):
        raise UsageError(f"{path}: {problem}. {RETRAIN}")
    for name in [*policy.steps, *policy.choices]:
        try:
            found = file_sha256(folder / name)
        except FileNotFoundError:
            raise UsageError(f"{folder / name}: missing; the policy is not whole. {RETRAIN}") from None
        except OSError as error:
            raise UsageError(f"{folder / name}: cannot be read ({error.strerror}). {RETRAIN}") from None
        if policy.files_sha256 is not None and found != policy.files_sha256.get(name):
            raise UsageError(
                f"{folder / name}: not the model that {path} was written with (field 'files_sha256'): it is cut, "
                f"changed, or of another policy. Copy the whole folder again. {RETRAIN}"
            )
    return policy


def _problem(policy: PolicyFile) -> str:
    """Say which fields contradict each other or themselves; the empty text where none does."""
    n_steps = 1 if policy.kind == "faithful" else len(policy.points) - 1
    names = [*policy.steps, *policy.choices]
    strange = [name for name in names if Path(name).name != name or "\\" in name or name in ("", ".", "..")]
    checks = {
        f"field 'points': {len(policy.points)}, expected two or more": len(policy.points) >= 2,
        f"field 'reads': {policy.reads}, which no {policy.kind} does": policy.reads in _READS[policy.kind],
        f"field 'steps': {len(policy.steps)}, expected {n_steps}": len(policy.steps) == n_steps,
        f"field 'choices': {len(policy.choices)}, expected none or {n_steps}": len(policy.choices) in (0, n_steps),
        f"field 'steps' or 'choices': '{''.join(strange[:1])}' is no name of a file in the folder": not strange,
        "field 'gflops_by_duration': a row for every point and one for the encoder are expected, of finite numbers": (
            len(policy.gflops_by_duration) == len(policy.points) + 1
            and all(isfinite(number) for row in policy.gflops_by_duration for number in row)
        ),
        "field 'threshold': is no number": not isnan(policy.threshold),
        "field 'weights': a digest of every point's model is expected": (
            {point.model for point in policy.points} <= set(policy.weights)
        ),
    }
    return next((problem for problem, holds in checks.items() if not holds), "")


def write_models(folder: Path, models: Mapping[str, bytes]) -> dict[str, str]:
    """Write models of a policy beside those of the policy that the folder may hold already.

    That one stays whole until :func:`write_policy` puts the new card in place of its own: a name that it uses is
    written with a number behind it.

    Args:
        folder: Made where it is missing.
        models: Contents by name, such as ``step-0.onnx``.

    Returns:
        The names that they have in the folder.

    Raises:
        LedgerError: The folder cannot be written; the policy in it is as it was.
    """
    used = _named_models(folder)
    for number in count(1):
        names = {name: name if number == 1 else f"{Path(name).stem}-{number}.onnx" for name in models}
        if not used & set(names.values()):
            break
    for name, content in models.items():
        with whole_file(folder / names[name]) as partial:
            partial.write_bytes(content)
    return names


def write_policy(folder: Path, policy: PolicyFile) -> PolicyFile:
    """Write the card, whole, with the digests of the models that lie beside it; an earlier policy's models go.

    Raises:
        LedgerError: The folder cannot be written.
    """
    names = [*policy.steps, *policy.choices]
    earlier = _named_models(folder)
    try:
        digests = {name: file_sha256(folder / name) for name in names}
    except OSError as error:
        raise LedgerError(f"{error.filename}: cannot be read ({error.strerror}). {RETRAIN}") from None
    policy = policy.model_copy(update={"files_sha256": digests})
    write_whole(folder / POLICY_FILE, policy.model_dump_json(indent=1) + "\n")
    for name in earlier - set(names):
        if Path(name).name == name and name.endswith(".onnx"):
            with suppress(OSError):  # one that stays does no harm: the card does not name it
                (folder / name).unlink()
    return policy


def _named_models(folder: Path) -> set[str]:
    """Models that the card in a folder names; none where there is no card that can be read."""
    try:
        fields: Any = load_json(folder / POLICY_FILE)
        return {str(name) for field in ("steps", "choices") for name in fields.get(field, [])}
    except (OSError, ValueError, AttributeError, TypeError):
        return set()
