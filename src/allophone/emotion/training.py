"""The training loop: an optimizer step per batch, validation after every epoch, and stopping."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, isfinite, pi
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from allophone.emotion.checkpoint import Epoch, Progress, read_checkpoint, write_checkpoint
from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import Recipe
from allophone.emotion.states import StateSource
from allophone.errors import AllophoneError
from allophone.measure.classification import count_confusions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Examples", "parameter_groups", "predict_logits", "rate_factor", "train"]

_UNDECAYED = ("bias", "layer_weights", "norm.weight", "gru_rel_pos_const")


def parameter_groups(model: EmotionModel, recipe: Recipe) -> list[dict[str, Any]]:
    """Return AdamW's groups: a learning rate for head, encoder and adapters, with and without weight decay each."""
    rates = {"head": recipe.head_lr, "lora": recipe.lora_lr, "encoder": recipe.encoder_lr}
    groups: dict[tuple[str, bool], list[Any]] = {}
    for name, parameter in model.trained().items():
        kind = "head" if name.startswith("head.") else "lora" if "lora_" in name else "encoder"
        groups.setdefault((kind, not name.endswith(_UNDECAYED)), []).append(parameter)
    return [
        {"params": parameters, "lr": rates[kind], "weight_decay": recipe.weight_decay if decayed else 0.0, "kind": kind}
        for (kind, decayed), parameters in groups.items()
    ]


def rate_factor(step: int, steps: int, warmup_share: float) -> float:
    """Return the share of the peak rate at a step from 0: a linear rise, then a half cosine to 0."""
    warmup = warmup_share * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + cos(pi * (step - warmup) / max(steps - warmup, 1)))


_SORTED_BATCHES = 16  # batches are cut from this many batches' clips sorted by length, so that little is padding
_STANDARDISE_ON = 512  # clips that fix centre and scale of the pooled statistics
_PREDICT_BATCH = 32
_CLIP_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Examples:
    """Places of utterances in the corpus, and their class numbers."""

    rows: tuple[int, ...]
    classes: tuple[int, ...]


def train(
    model: EmotionModel,
    source: StateSource,
    training: Examples,
    validation: Examples,
    recipe: Recipe,
    *,
    labels: Sequence[str],
    checkpoint: Path | None = None,
    key: str = "",
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Progress:
    """Train a model and leave it with the parameters of its best epoch on the validation examples.

    The loss weighs classes equally whatever their counts, as UAR does. Every epoch's order and dropout follow from the
    seed and the epoch's number, so a training that was killed and goes on from its checkpoint ends as one that was not.

    Args:
        model: Fresh; it is trained in place.
        source: States of the corpus.
        training: What to train on.
        validation: What to stop on; other speakers.
        recipe: Epochs, rates, seed.
        labels: The classes.
        checkpoint: File to go on from and to write after every epoch; None keeps nothing.
        key: Names the job; a checkpoint of another one is refused.
        on_epoch: Called after every epoch.

    Returns:
        Progress with all epochs. After a loss that is no number ``failed`` is set, ``stopped`` names the step, and the
        model has the parameters of the best epoch before it.

    Raises:
        AllophoneError: The loss is no number before the first epoch ended: nothing good is there to be kept.
        LedgerError: The checkpoint is damaged or cannot be written.
        UsageError: The checkpoint belongs to another job.
    """
    import torch

    optimizer = torch.optim.AdamW(parameter_groups(model, recipe), fused=True)  # a fifth of the plain loop's time
    peaks = [group["lr"] for group in optimizer.param_groups]
    found = None if checkpoint is None else read_checkpoint(checkpoint, key)
    if found is None:
        _standardise(model, source, training, recipe.seed)
        progress = Progress([], 0, {})
    else:
        progress, last, state = found
        _load(model, last)
        optimizer.load_state_dict(state)
    weights = _class_weights(training, len(labels), model)
    while progress.stopped is None:
        number = len(progress.epochs) + 1
        epoch, failure = _run_epoch(model, source, training, recipe, optimizer, peaks, weights, number)
        if failure is None:
            logits = predict_logits(model, source, validation.rows)
            uar = count_confusions(validation.classes, logits.argmax(1), labels).uar
            failure = None if isfinite(float(logits.sum())) else f"after epoch {number} the logits are not numbers"
        if failure is not None:
            if not progress.best_epoch:
                raise AllophoneError(
                    f"{failure}, before any epoch was finished. Lower the learning rates, or train in float32."
                )
            progress.stopped, progress.failed = f"{failure}; epoch {progress.best_epoch} is kept", True
        else:
            progress.epochs.append(Epoch(number, epoch["loss"], uar, epoch["steps"], epoch["train_s"], epoch["clips"]))
            if uar > progress.best_uar:
                progress.best_epoch, progress.best = number, _state(model)
            if number == recipe.epochs:
                progress.stopped = "all epochs are done"
            elif number - progress.best_epoch >= recipe.patience:
                progress.stopped = f"no better validation UAR for {recipe.patience} epochs"
        if checkpoint is not None:
            write_checkpoint(checkpoint, key, progress, _state(model), optimizer.state_dict())
        if on_epoch is not None and not progress.failed:
            on_epoch(progress.epochs[-1])
    _load(model, progress.best)
    model.train(False)
    return progress


def predict_logits(model: EmotionModel, source: StateSource, rows: Sequence[int]) -> NDArray[np.float64]:
    """Logits of shape ``(rows, classes)``, in the rows' order, without dropout."""
    import numpy as np
    import torch

    model.train(False)
    logits = np.zeros((len(rows), model.adaptation.classes))
    order = sorted(range(len(rows)), key=lambda index: source.tokens(rows[index]))
    with torch.no_grad():
        for start in range(0, len(order), _PREDICT_BATCH):
            indices = order[start : start + _PREDICT_BATCH]
            logits[indices] = _forward(model, source, [rows[index] for index in indices])[0].cpu().numpy()
    return logits


def _run_epoch(
    model: EmotionModel,
    source: StateSource,
    training: Examples,
    recipe: Recipe,
    optimizer: Any,
    peaks: Sequence[float],
    weights: Any,
    number: int,
) -> tuple[dict[str, Any], str | None]:
    import torch

    torch.manual_seed(recipe.seed * 10_007 + number)  # dropout
    model.train()
    batches = _batches(training, source, recipe, number)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    losses, clips = 0.0, Counter[int]()
    started = perf_counter()
    for step, indices in enumerate(batches, start=(number - 1) * len(batches)):
        factor = rate_factor(step, len(batches) * recipe.epochs, recipe.warmup_share)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        logits, tokens = _forward(model, source, [training.rows[index] for index in indices])
        targets = torch.tensor([training.classes[index] for index in indices], device=logits.device)
        loss = torch.nn.functional.cross_entropy(logits, targets, weight=weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, _CLIP_NORM)
        if not (isfinite(loss.item()) and isfinite(norm.item())):
            return {}, f"the loss or its gradient is not a number at step {step + 1} (epoch {number})"
        optimizer.step()
        losses += loss.item()
        clips[tokens] += len(indices)
    epoch = {
        "loss": losses / len(batches),
        "steps": len(batches),
        "train_s": perf_counter() - started,
        "clips": tuple(sorted(clips.items())),
    }
    return epoch, None


def _forward(model: EmotionModel, source: StateSource, rows: Sequence[int]) -> tuple[Any, int]:
    """Logits of a batch and its padded length."""
    if model.is_probe:
        return model.head.classify(model.head.pool_moments(*source.moments(rows))), 0
    lower, inside = source.lower(rows)
    return model.logits(lower, inside), lower[0].shape[1]


def _batches(training: Examples, source: StateSource, recipe: Recipe, number: int) -> list[list[int]]:
    order = list(range(len(training.rows)))
    shuffle = random.Random(f"{recipe.seed}/{number}")
    shuffle.shuffle(order)
    stretch = recipe.batch_size * _SORTED_BATCHES
    batches = []
    for start in range(0, len(order), stretch):
        near = sorted(order[start : start + stretch], key=lambda index: source.tokens(training.rows[index]))
        batches += [near[first : first + recipe.batch_size] for first in range(0, len(near), recipe.batch_size)]
    shuffle.shuffle(batches)
    return batches


def _standardise(model: EmotionModel, source: StateSource, training: Examples, seed: int) -> None:
    import torch

    rows = random.Random(seed).sample(training.rows, min(_STANDARDISE_ON, len(training.rows)))
    model.train(False)
    pooled = []
    with torch.no_grad():
        for start in range(0, len(rows), _PREDICT_BATCH):
            part = rows[start : start + _PREDICT_BATCH]
            if model.is_probe:
                pooled.append(model.head.pool_moments(*source.moments(part)))
            else:
                pooled.append(model.pooled(*source.lower(part)))
    model.head.standardise_on(torch.cat(pooled))


def _class_weights(training: Examples, classes: int, model: EmotionModel) -> Any:
    import torch

    counts = torch.bincount(torch.tensor(training.classes), minlength=classes).clamp_min(1)
    weights = len(training.classes) / (classes * counts.float())
    return weights.to(model.head.parameters["weight"].device)


def _state(model: EmotionModel) -> dict[str, Any]:
    """Trained parameters and fixed numbers, copied."""
    state = {name: parameter.detach().clone() for name, parameter in model.trained().items()}
    return state | {f"head.{name}": value.clone() for name, value in model.head.fixed.items()}


def _load(model: EmotionModel, state: dict[str, Any]) -> None:
    import torch

    model.head.load({name.removeprefix("head."): value for name, value in state.items() if name.startswith("head.")})
    with torch.no_grad():
        for name, parameter in model.trained().items():
            parameter.copy_(state[name])
