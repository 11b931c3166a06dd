"""Results of a training: its record, its test rows, its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from statistics import median
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from allophone.corpora.splits import PARTS, Part, Split
from allophone.costs.adaptation import frozen_flops, training_step_flops
from allophone.costs.emotion import inference_flops
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.emotion.checkpoint import Progress
from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import EmotionSetting, Precision, Recipe
from allophone.emotion.states import StateSource, load_clip
from allophone.emotion.training import Examples
from allophone.errors import CorpusError, UsageError
from allophone.ledger.run_record import MachineStamp
from allophone.measure.classification import ConfusionCounts, count_confusions, uar_interval
from allophone.measure.temperature import calibration_error
from allophone.models.stopwatch import Stopwatch
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "EmotionRow",
    "EmotionSummary",
    "TrainingRecord",
    "add_flops",
    "confusion_of",
    "mean_inference_flops",
    "measure_latency",
    "median_step_s",
    "report_rows",
    "split_examples",
    "summarise_rows",
    "training_flops_of",
]


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
    of both. ``step_s`` is the median over epochs of an epoch's seconds per step.
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


def confusion_of(rows: Sequence[EmotionRow], labels: Sequence[str]) -> ConfusionCounts:
    """Count the rows' decisions; rows with an error are left out."""
    used = [row for row in rows if row.error is None]
    references = [labels.index(row.label) for row in used]
    decisions = [max(range(len(labels)), key=row.posterior.__getitem__) for row in used]
    return count_confusions(references, decisions, labels)


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


def split_examples(
    utterances: Sequence[Utterance], split: Split, labels: Sequence[str], failures: Mapping[int, str]
) -> dict[Part, Examples]:
    """Return places and class numbers of every part's utterances; those that failed are left out.

    Args:
        utterances: The corpus, in its order.
        split: Whose speakers belong where.
        labels: Classes in the order of their numbers.
        failures: Why an utterance cannot be used, by place.

    Raises:
        CorpusError: No usable utterance is left in a part, or a class has none to train on.
    """
    place = {utterance.id: row for row, utterance in enumerate(utterances)}
    number = {label: index for index, label in enumerate(labels)}
    examples: dict[Part, Examples] = {}
    for part in PARTS:
        used = [(place[u.id], number[u.label or ""]) for u in split.select(utterances, part)]
        used = [(row, label) for row, label in used if row not in failures]
        if not used:
            raise CorpusError(f"split '{split.name}': no usable {part} utterance is left. Mend the recordings.")
        examples[part] = Examples(tuple(row for row, _ in used), tuple(label for _, label in used))
    if absent := set(range(len(labels))) - set(examples["train"].classes):
        raise CorpusError(
            f"split '{split.name}': no usable training utterance has the label '{labels[min(absent)]}'. Mend the "
            "recordings, or leave the label out."
        )
    return examples


def report_rows(
    utterances: Sequence[Utterance],
    split: Split,
    labels: tuple[str, ...],
    failures: Mapping[int, str],
    probabilities: NDArray[np.float64],
) -> tuple[EmotionRow, ...]:
    """Return a row for every test utterance, in the corpus's order; failed ones carry their error.

    Args:
        utterances: The corpus.
        split: Its test speakers are reported.
        labels: Classes in the order of the probabilities.
        failures: Why an utterance could not be used, by place.
        probabilities: Of the test utterances that did not fail, shape ``(n_utterances, n_classes)``.
    """
    rows = []
    remaining = iter(probabilities.tolist())
    speakers = set(split.test)
    for index, utterance in enumerate(utterances):
        if utterance.speaker not in speakers:
            continue
        error = failures.get(index)
        posterior = () if error else tuple(next(remaining))
        correct = bool(posterior) and labels[posterior.index(max(posterior))] == utterance.label
        rows.append(EmotionRow(utterance.id, utterance.speaker, utterance.label or "", posterior, correct, None, error))
    return tuple(rows)


def add_flops(
    model: EmotionModel, source: StateSource, rows: Sequence[EmotionRow], utterances: Sequence[Utterance]
) -> tuple[EmotionRow, ...]:
    """Note how much each row's recogniser heard and what its inference executes; failed rows stay as they are.

    Args:
        model: The model.
        source: States of the corpus.
        rows: From :func:`report_rows`.
        utterances: The corpus.
    """
    index = {utterance.id: number for number, utterance in enumerate(utterances)}
    return tuple(
        row
        if row.error is not None
        else replace(
            row,
            heard_s=source.samples(index[row.utterance_id]) / SAMPLE_RATE,
            executed_flops=_flops(model, source, index[row.utterance_id]),
        )
        for row in rows
    )


def measure_latency(
    model: EmotionModel,
    rows: Sequence[EmotionRow],
    utterances: Sequence[Utterance],
    count: int | None,
    *,
    twice: bool = False,
) -> tuple[EmotionRow, ...]:
    """Run test utterances again, one at a time from their samples with adapters merged, and note the seconds.

    The posterior stays the one from the states; decoding the file is not timed. The first run is a warm-up.

    Args:
        model: Trained and saved; its adapters are merged.
        rows: From :func:`report_rows`.
        utterances: The corpus.
        count: How many rows, evenly spread; None: all.
        twice: Whether they are run a second time when all have been run, to learn what the machine's noise does.
    """
    usable = [number for number, row in enumerate(rows) if row.error is None]
    count = len(usable) if count is None else min(count, len(usable))
    wanted = [usable[index * len(usable) // count] for index in range(count)]
    by_id = {utterance.id: utterance for utterance in utterances}
    timed = list(rows)
    model.train(False)
    model.merge()
    on_cpu = next(model.encoder.module.parameters()).device.type == "cpu"
    for turn, number in enumerate([*wanted[:1], *wanted, *(wanted if twice else [])]):
        clip = load_clip(by_id[rows[number].utterance_id], model.setting.duration_s)
        watch = Stopwatch()
        model.clip_logits(clip).cpu()
        wall_s, cpu_s = watch.lap()
        took = (wall_s, cpu_s if on_cpu else None)  # else the processor only waits
        if 1 <= turn <= len(wanted):
            timed[number] = replace(rows[number], latency_s=took[0], cpu_s=took[1])
        elif turn:
            timed[number] = replace(timed[number], again=took)
    return tuple(timed)


def mean_inference_flops(model: EmotionModel, source: StateSource, rows: Sequence[int]) -> int:
    """Executed FLOPs of one inference, mean over utterances."""
    return round(sum(_flops(model, source, row) for row in rows) / len(rows))


def _flops(model: EmotionModel, source: StateSource, row: int) -> int:
    dims, classes = model.encoder.dimensions, model.adaptation.classes
    return inference_flops(dims, classes, samples=source.samples(row))


class EmotionSummary(BaseModel):
    """Rates on test speakers, as fractions.

    ``uar_low`` and ``uar_high`` are the ends of a 95 % interval with speakers drawn as blocks. ``recalls`` holds None
    for a label without a test utterance, which ``uar`` leaves out. ``confusion[i][j]`` counts references ``i`` taken
    for ``j``. ``calibration_error`` is the expected calibration error of the confidences.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...]
    n_utterances: int
    n_speakers: int
    failures: int
    uar: float
    uar_low: float
    uar_high: float
    wa: float
    macro_f1: float
    recalls: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: float
    warning: str | None


def summarise_rows(rows: Sequence[EmotionRow], labels: Sequence[str]) -> EmotionSummary:
    """Summarise test rows; of several folds or seeds too, where each row is one decision.

    Args:
        rows: From :func:`allophone.emotion.experiment.run_setting`.
        labels: Classes in the order of the probabilities.

    Raises:
        UsageError: No row is without an error.
    """
    used = [row for row in rows if row.error is None]
    if not used:
        raise UsageError("no test utterance could be used, so nothing can be said about the recogniser.")
    recognition = confusion_of(used, labels)
    references = [labels.index(row.label) for row in used]
    decisions = [max(range(len(labels)), key=row.posterior.__getitem__) for row in used]
    speakers = [row.speaker for row in used]
    interval, warning = uar_interval(references, decisions, speakers)
    return EmotionSummary(
        labels=tuple(labels),
        n_utterances=len(used),
        n_speakers=len(set(speakers)),
        failures=len(rows) - len(used),
        uar=recognition.uar,
        uar_low=interval.low,
        uar_high=interval.high,
        wa=recognition.wa,
        macro_f1=recognition.macro_f1,
        recalls=tuple(None if isnan(recall) else recall for recall in recognition.recalls.tolist()),
        confusion=tuple(tuple(line) for line in recognition.confusion.tolist()),
        calibration_error=calibration_error([max(row.posterior) for row in used], [row.correct for row in used]),
        warning=warning,
    )
