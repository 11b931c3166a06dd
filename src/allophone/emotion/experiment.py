"""Emotion experiment: one setting trained on some speakers, early-stopped on others, reported on a third part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal

from allophone.corpora.corpus import Corpus, open_corpus
from allophone.corpora.labels import labelled_utterances
from allophone.corpora.splits import SplitFile, fixed_split, make_folds, read_splits, write_splits
from allophone.costs.adaptation import trainable_parameters
from allophone.emotion.checkpoint import CHECKPOINT, Epoch
from allophone.emotion.folders import RECORD, check_model_folder
from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import EmotionSetting, Precision, Recipe, default_recipe
from allophone.emotion.results import (
    EmotionRow,
    TrainingRecord,
    add_flops,
    confusion_of,
    mean_inference_flops,
    measure_latency,
    median_step_s,
    report_rows,
    split_examples,
    training_flops_of,
)
from allophone.emotion.state_cache import CachedStates
from allophone.emotion.states import FreshStates
from allophone.emotion.store import save_emotion_model
from allophone.emotion.training import predict_logits, train
from allophone.encoders.device import check_torch_device
from allophone.encoders.layers import run_layers, width
from allophone.encoders.loading import SpeechEncoder, load_speech_encoder
from allophone.errors import CorpusError
from allophone.files import write_whole
from allophone.ledger.run_record import machine_stamp
from allophone.measure.classification import ConfusionCounts
from allophone.measure.temperature import fit_temperature, softmax
from allophone.records.utterance import Utterance

__all__ = ["EmotionRun", "faster_precision", "run_setting", "train_emotion"]

_BATCH, _TOKENS = 8, 128
_TIMED_ROWS = 32
_REPEATS = 5
_WORTHWHILE = 1.2  # a smaller gain is noise, or not worth the lost digits


def faster_precision(encoder: SpeechEncoder) -> Precision:
    """Return ``bfloat16`` where a layer runs at least 1.2 times as fast under autocast as in float32.

    It is so on processors with matrix tiles for bfloat16 (AMX) and on GPUs; elsewhere autocast only adds conversions.

    Args:
        encoder: The encoder, on the device that it will run on.
    """
    import torch

    device = next(encoder.module.parameters()).device
    hidden = torch.randn(_BATCH, _TOKENS, width(encoder), generator=torch.Generator().manual_seed(0)).to(device)

    def layer(halved: bool) -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=halved):
            run_layers(encoder, hidden, None, 0, 1)
        if device.type == "cuda":
            torch.cuda.synchronize()

    full_s, half_s = _median_s(lambda: layer(False), lambda: layer(True))
    return "bfloat16" if full_s >= _WORTHWHILE * half_s else "float32"


def _median_s(*works: Callable[[], None]) -> list[float]:
    # In turns: whatever else the machine does then slows both.
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(_REPEATS + 1):
        for index, work in enumerate(works):
            started = perf_counter()
            work()
            if turn:
                taken[index].append(perf_counter() - started)
    return [median(times) for times in taken]


@dataclass(frozen=True, slots=True)
class EmotionRun:
    """What one setting did on one split.

    Args:
        record: How it was trained and what it cost.
        rows: One a test utterance, in the corpus's order.
        model: The trained model, adapters merged where rows were timed.
    """

    record: TrainingRecord
    rows: tuple[EmotionRow, ...]
    model: EmotionModel

    @property
    def recognition(self) -> ConfusionCounts:
        """Counts and rates on the test speakers."""
        return confusion_of(self.rows, self.record.labels)


def train_emotion(
    corpus: str | Path,
    out: str | Path,
    *,
    split: str | Path | None = None,
    fold: str = "fold-0",
    test_speakers: Sequence[str] = (),
    recipe: Mapping[str, Any] | None = None,
    seed: int = 0,
    precision: Precision | Literal["auto"] = "auto",
    device: str = "cpu",
    threads: int = 0,
    on_epoch: Callable[[Epoch], None] | None = None,
    **knobs: Any,
) -> EmotionRun:
    """Train a recogniser of speech emotion, stop on validation speakers, test on others and save it.

    Args:
        corpus: A manifest with labels and speakers, or a folder.
        out: Folder for the model; the same call goes on from its checkpoint.
        split: Split file, made there where it is missing; ``split.json`` in ``out`` where None.
        fold: Which of its splits.
        test_speakers: Test these speakers instead, where the file is missing.
        recipe: Fields of :class:`allophone.emotion.recipe.Recipe` that are not the setting's defaults.
        seed: Of initial weights, order of clips, and a split that is made.
        precision: ``float32``, ``bfloat16``, or ``auto``.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves torch's own choice.
        on_epoch: Called after every epoch.
        **knobs: Of the setting: ``model`` (``base`` where not given), ``duration_s``, ``lora_rank``,
            ``unfrozen_layers``.

    Raises:
        ValidationError: A knob or field of the recipe that does not exist, or has an impossible value.
        AllophoneError: As :func:`run_setting`.
    """
    setting = EmotionSetting(**{"model": "base", **knobs})
    standard = default_recipe(setting, seed=seed)
    settled = type(standard).model_validate(standard.model_dump() | dict(recipe or {}))
    opened, path = open_corpus(corpus), Path(split) if split is not None else Path(out) / "split.json"
    if path.is_file():
        splits = read_splits(path, opened)
    else:
        splits = fixed_split(opened, test=test_speakers, seed=seed) if test_speakers else make_folds(opened, seed=seed)
        check_model_folder(Path(out))
        write_splits(path, splits)
    return run_setting(
        setting,
        opened,
        splits,
        splits.splits[0].name if test_speakers else fold,
        recipe=settled,
        precision=precision,
        out=Path(out),
        timed_rows=_TIMED_ROWS,
        device=device,
        threads=threads,
        on_epoch=on_epoch,
    )


def run_setting(
    setting: EmotionSetting,
    corpus: Corpus,
    splits: SplitFile,
    split: str,
    *,
    recipe: Recipe | None = None,
    precision: Precision | Literal["auto"] = "auto",
    out: Path | None = None,
    cached: bool = True,
    cache_root: Path | None = None,
    timed_rows: int | None = None,
    timed_twice: bool = False,
    device: str = "cpu",
    threads: int = 0,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_states: Callable[[float], None] | None = None,
) -> EmotionRun:
    """Train and test one setting.

    Args:
        setting: The knobs.
        corpus: The corpus that ``splits`` was made for.
        splits: Who trains, stops and is reported.
        split: Name of one of them.
        recipe: How to train; None is the setting's default.
        precision: ``auto`` times per layer once.
        out: Folder for checkpoint, model and record; the same call goes on from its checkpoint. None keeps nothing.
        cached: Whether states below the trained layers are computed once; otherwise in every step.
        cache_root: As in :class:`allophone.emotion.state_cache.CachedStates`.
        timed_rows: How many test utterances, evenly spread, are run again alone to be timed; None: all of them.
        timed_twice: Whether these are then run and timed once more.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves torch's own choice.
        on_epoch: Called after every epoch.
        on_states: Called with a fraction from 0 to 1 while a cache is filled.

    Raises:
        AllophoneError: The loss is no number before any epoch was finished.
        CorpusError: The corpus is not the split's, or a part has no usable utterance.
        LedgerError: ``out`` cannot be written.
        SpaceError: A knob that the encoder cannot take.
        UsageError: There is no such split or device, or ``out`` holds another training, a run or a policy.
    """
    check_torch_device(device)
    if out is not None:
        check_model_folder(out)
    if corpus.scan().fingerprint != splits.corpus_fingerprint:
        raise CorpusError(f"{corpus.path}: not the corpus that the split was made for. Make a new split.")
    chosen = splits.split(split)
    utterances = labelled_utterances(corpus, splits.labels)
    encoder = load_speech_encoder(setting.model)
    threads = _set_threads(threads)
    encoder.module.to(device)
    recipe = recipe or default_recipe(setting)
    settled = _settle_precision(encoder, precision, out)
    model = EmotionModel(encoder, setting, len(splits.labels), precision=settled, seed=recipe.seed)
    started = perf_counter()
    source = _states(model, utterances, splits.corpus_fingerprint, cached, cache_root, on_states)
    states_s = perf_counter() - started
    examples = split_examples(utterances, chosen, splits.labels, source.failures)
    identity = [setting.model_dump(), recipe.model_dump(), settled, encoder.weights_sha256, splits.fingerprint, split]
    progress = train(
        model,
        source,
        examples["train"],
        examples["validation"],
        recipe,
        labels=splits.labels,
        checkpoint=None if out is None else out / CHECKPOINT,
        key=sha256(json.dumps(identity).encode()).hexdigest(),
        on_epoch=on_epoch,
    )
    held_out = predict_logits(model, source, examples["validation"].rows)
    temperature = fit_temperature(held_out, examples["validation"].classes)
    if out is not None:
        save_emotion_model(out, model, splits.labels, temperature)
    logits = predict_logits(model, source, examples["test"].rows)
    rows = report_rows(utterances, chosen, splits.labels, source.failures, softmax(logits, temperature))
    rows = add_flops(model, source, rows, utterances)
    rows = measure_latency(model, rows, utterances, timed_rows, twice=timed_twice)
    latencies = [row.latency_s for row in rows if row.latency_s is not None]
    steps_flops, repeated_flops = training_flops_of(model, progress, cached=cached)
    record = TrainingRecord(
        setting=setting,
        recipe=recipe,
        precision=settled,
        base_weights_sha256=encoder.weights_sha256,
        corpus_fingerprint=splits.corpus_fingerprint,
        split=split,
        split_fingerprint=splits.fingerprint,
        labels=splits.labels,
        n_train=len(examples["train"].rows),
        n_validation=len(examples["validation"].rows),
        n_test=len(examples["test"].rows),
        failures=len(source.failures),
        trainable_params=trainable_parameters(encoder.dimensions, model.adaptation),
        inference_flops=mean_inference_flops(model, source, examples["test"].rows),
        training_flops=steps_flops,
        frozen_flops=source.frozen_flops if isinstance(source, CachedStates) else repeated_flops,
        cached=cached,
        states_s=states_s,
        train_s=sum(epoch.train_s for epoch in progress.epochs),
        step_s=median_step_s(progress),
        latency_s=median(latencies) if latencies else None,
        validation_uars=tuple(epoch.validation_uar for epoch in progress.epochs),
        best_epoch=progress.best_epoch,
        stopped=progress.stopped or "",
        failed=progress.failed,
        temperature=temperature,
        device=device,
        threads=threads,
        machine=machine_stamp(),
    )
    if out is not None:
        write_whole(out / RECORD, record.model_dump_json(indent=1) + "\n")
    return EmotionRun(record, rows, model)


def _states(
    model: EmotionModel,
    utterances: Sequence[Utterance],
    fingerprint: str,
    cached: bool,
    root: Path | None,
    on_states: Callable[[float], None] | None,
) -> CachedStates | FreshStates:
    duration_s = model.setting.duration_s
    if cached:
        return CachedStates(model, utterances, fingerprint, duration_s, root=root, progress=on_states)
    return FreshStates(model, utterances, duration_s)


def _set_threads(threads: int) -> int:
    import torch

    if threads:
        torch.set_num_threads(threads)
    return int(torch.get_num_threads())


def _settle_precision(encoder: SpeechEncoder, precision: Precision | Literal["auto"], out: Path | None) -> Precision:
    """What was measured once for a folder holds when the training in it goes on."""
    if precision != "auto":
        return precision
    noted = None if out is None else out / "precision"
    if noted is not None and noted.is_file():
        return "bfloat16" if noted.read_text(encoding="utf-8").strip() == "bfloat16" else "float32"
    found = faster_precision(encoder)
    if noted is not None:
        write_whole(noted, found + "\n")
    return found
