"""What a training was, cost and reached, and its test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from pydantic import BaseModel, ConfigDict

from allophone.costs.adaptation import frozen_flops, training_step_flops
from allophone.emotion.checkpoint import Progress
from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import EmotionSetting, Precision, Recipe
from allophone.ledger.run_record import MachineStamp
from allophone.measure.emotion import Recognition, recognise

__all__ = ["EmotionRow", "TrainingRecord", "median_step_s", "recognition_of", "training_flops_of"]


@dataclass(frozen=True, slots=True)
class EmotionRow:
    """One test utterance through one trained setting.

    Args:
        utterance_id: The utterance.
        speaker: Who speaks; in no other part of the split.
        label: The reference.
        posterior: Calibrated probability of every label, in the labels' order; empty after an error.
        correct: Whether the most probable label is the reference.
        latency_s: Seconds from samples in memory to the posterior, adapters merged, one clip at a time; None where it
            was not timed.
        error: Why the utterance could not be used; it then enters no rate.
        heard_s: Seconds of the recording that the recogniser heard.
        executed_flops: Of this inference, front end included, adapters merged.
        cpu_s: Processor seconds of all threads within ``latency_s``; None where that was not measured, or on a GPU.
        again: Seconds and processor seconds of a second run, when all clips had had their first; None where none was
            asked for.
    """

    utterance_id: str
    speaker: str | None
    label: str
    posterior: tuple[float, ...]
    correct: bool
    latency_s: float | None
    error: str | None
    heard_s: float = 0.0
    executed_flops: int = 0
    cpu_s: float | None = None
    again: tuple[float, float | None] | None = None


class TrainingRecord(BaseModel):
    """Everything that a training's figures depend on, what it cost and what stopped it.

    FLOPs are executed ones. ``inference_flops`` is the mean over test clips, front end included, adapters merged.
    ``training_flops`` sums all optimizer steps at their padded lengths; ``frozen_flops`` is what the layers below the
    trained ones added: once where they were cached, in every step where not. The front end and validation are left out
    of both. ``step_s`` is the median over epochs of an epoch's seconds a step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    setting: EmotionSetting
    recipe: Recipe
    precision: Precision
    base_weights_sha256: str
    corpus_fingerprint: str
    split: str
    split_fingerprint: str
    labels: tuple[str, ...]
    n_train: int
    n_validation: int
    n_test: int
    failures: int
    trainable_params: int
    inference_flops: int
    training_flops: int
    frozen_flops: int
    cached: bool
    states_s: float
    train_s: float
    step_s: float
    latency_s: float | None
    validation_uars: tuple[float, ...]
    best_epoch: int
    stopped: str
    failed: bool
    temperature: float
    device: str
    threads: int
    machine: MachineStamp


def recognition_of(rows: Sequence[EmotionRow], labels: Sequence[str]) -> Recognition:
    """Count the rows' decisions; rows with an error are left out."""
    used = [row for row in rows if row.error is None]
    references = [labels.index(row.label) for row in used]
    decisions = [max(range(len(labels)), key=row.posterior.__getitem__) for row in used]
    return recognise(references, decisions, labels)


def training_flops_of(model: EmotionModel, progress: Progress, *, cached: bool) -> tuple[int, int]:
    """Return executed FLOPs of all optimizer steps, and of the frozen layers below them where no cache spared these.

    Args:
        model: The model.
        progress: Its training.
        cached: Whether the states below the trained layers were read from a cache.
    """
    dims, below = model.encoder.dimensions, model.first
    steps = frozen = 0
    for epoch in progress.epochs:
        for tokens, clips in epoch.clips_of_tokens:
            steps += clips * training_step_flops(dims, model.adaptation, tokens=tokens)
            frozen += 0 if cached else clips * frozen_flops(dims, tokens=tokens, layers=below)
    return steps, frozen


def median_step_s(progress: Progress) -> float:
    """Median over epochs of the seconds an optimizer step took."""
    return median(epoch.train_s / epoch.steps for epoch in progress.epochs)
