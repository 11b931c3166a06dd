"""Short-context adaptation: a Whisper encoder, or a learned tail behind it, taught to do with the audio and a margin.

See :mod:`allophone.adapt.distillation` for teacher and losses. The result is a CTranslate2 folder like any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, isfinite, pi
from pathlib import Path
from time import monotonic
from typing import Any

from allophone.adapt.distillation import (
    Prompt,
    TeacherTargets,
    distil,
    encode_silence,
    read_prompt,
    teacher_targets,
)
from allophone.adapt.record import (
    Checkpoint,
    ContextCard,
    ContextSettings,
    Validation,
    claim_folder,
    load_checkpoint,
    make_card,
    parse_settings,
    read_card,
    save_checkpoint,
    write_card,
)
from allophone.adapt.windows import Speakers, draw_windows, hold_out, validation_windows
from allophone.corpora.corpus import open_corpus
from allophone.encoders.torch_whisper import load_torch_whisper, save_ct2_whisper
from allophone.errors import AllophoneError, UsageError
from allophone.extras import importing
from allophone.files import file_sha256, whole_file
from allophone.models.engine import Engine, load_engine
from allophone.models.learned_tail import TAIL_FILE, write_learned_tail
from allophone.models.weights import resolve_weights

__all__ = ["AdaptProgress", "adapt_context", "adapt_tail"]

_TRAINING = "training"
_SAVE_EVERY_S = 60.0
_VALIDATE_EVERY = 50  # steps
_WARM_UP_SHARE = 0.1
_LEAST_RATE = 0.1  # of the learning rate, at the end
_GRADIENT_NORM = 1.0


@dataclass(frozen=True, slots=True)
class AdaptProgress:
    """How far an adaptation is: steps done, those of earlier sittings included, and an estimate of the rest."""

    done: int
    total: int
    remaining_s: float | None


def adapt_context(
    corpus: str | Path,
    *,
    out: str | Path,
    model: str = "tiny.en",
    margin_s: float = 1.0,
    tail: str = "none",
    steps: int = 400,
    batch_size: int = 8,
    learning_rate: float = 3e-5,
    seed: int = 0,
    held_out: int = 4,
    language: str = "en",
    device: str = "cpu",
    threads: int = 0,
    progress: Callable[[AdaptProgress], None] | None = None,
) -> ContextCard:
    """Teach an encoder to do with short windows; the same call continues what was stopped.

    Where the run is stopped, at most a minute is lost; a finished one is only read again. Equal settings give equal
    weights on one machine, however often the run was stopped.

    Args:
        corpus: A JSONL manifest, a folder, or ``hf:NAME?split=...``; transcripts are not read.
        out: Folder for checkpoints, weights and card.
        model: Weights to begin from.
        margin_s: Silence after the audio, in seconds, that the encoder will be run with.
        tail: What the decoder will see behind the window: ``none``, or ``all`` for the silence tail.
        steps: Optimiser steps.
        batch_size: Windows a step.
        learning_rate: Of AdamW, its peak; it rises over the first tenth and falls to a tenth along a cosine.
        seed: Of held-out speakers and windows.
        held_out: Speakers kept for validation, never trained on.
        language: Language of the speech, for multilingual models.
        device: Where the student runs: ``cpu``, ``cuda`` or another of torch's. The teacher runs on the CPU.
        threads: CPU threads; 0 takes the libraries' defaults.
        progress: Called after every step.

    Returns:
        The card; weights are in the folder.

    Raises:
        MissingExtraError: The extra ``torch`` is not installed.
        UsageError: An argument is impossible, or the corpus has too few speakers.
        LedgerError: The folder holds something else.
        AllophoneError: The loss is no longer a number; the last checkpoint is kept. Others as the parts raise them.
    """
    fields = {"model": model, "margin_s": margin_s, "tail": tail, "steps": steps, "batch_size": batch_size}
    fields |= {"learning_rate": learning_rate, "seed": seed, "held_out": held_out, "language": language}
    return _adapt(corpus, Path(out), fields, device=device, threads=threads, progress=progress)


def adapt_tail(
    corpus: str | Path,
    *,
    out: str | Path,
    model: str = "tiny.en",
    tokens: int = 64,
    margin_s: float = 1.0,
    steps: int = 600,
    batch_size: int = 8,
    learning_rate: float = 2e-2,
    seed: int = 0,
    held_out: int = 4,
    language: str = "en",
    device: str = "cpu",
    threads: int = 0,
    progress: Callable[[AdaptProgress], None] | None = None,
) -> ContextCard:
    """Learn a tail for a model whose weights stay as they are; the same call continues what was stopped.

    Args:
        corpus: As for :func:`adapt_context`.
        out: Folder for checkpoints, card and a copy of the model with its ``learned_tail.npz``.
        model: The model that the tail is for.
        tokens: Vectors of the tail, which are the audio tokens that the decoder sees behind a window.
        margin_s: As for :func:`adapt_context`.
        steps: Optimiser steps.
        batch_size: Windows a step.
        learning_rate: Of AdamW, its peak; vectors take a larger one than weights.
        seed: Of held-out speakers and windows.
        held_out: Speakers kept for validation, never trained on.
        language: Language of the speech, for multilingual models.
        device: As for :func:`adapt_context`.
        threads: CPU threads; 0 takes the libraries' defaults.
        progress: Called after every step.

    Returns:
        The card; the model with its tail is in the folder.

    Raises:
        MissingExtraError: The extra ``torch`` is not installed.
        UsageError: An argument is impossible, or the corpus has too few speakers.
        LedgerError: The folder holds something else.
        AllophoneError: The loss is no longer a number; the last checkpoint is kept. Others as the parts raise them.
    """
    if tokens < 1:
        raise UsageError(f"tokens {tokens}: a learned tail has at least 1 vector.")
    fields = {"model": model, "margin_s": margin_s, "tail": "none", "steps": steps, "batch_size": batch_size}
    fields |= {"learning_rate": learning_rate, "seed": seed, "held_out": held_out, "language": language}
    fields |= {"learned_vectors": tokens}
    return _adapt(corpus, Path(out), fields, device=device, threads=threads, progress=progress)


def _adapt(
    corpus: str | Path,
    folder: Path,
    fields: dict[str, Any],
    *,
    device: str,
    threads: int,
    progress: Callable[[AdaptProgress], None] | None,
) -> ContextCard:
    with importing("torch", "torch"):
        import torch

    weights, opened = resolve_weights(fields["model"]), open_corpus(corpus)
    summary = opened.scan()
    source_sha256 = file_sha256(weights.folder / "model.bin")
    settings = parse_settings({**fields, "source_sha256": source_sha256, "corpus_fingerprint": summary.fingerprint})
    speakers = hold_out(opened, settings.held_out, settings.seed)
    student = _on_device(load_torch_whisper(weights.folder), device)
    learner = _learner(student, settings)
    prompt = read_prompt(weights.folder, weights.dimensions, settings.language)
    claim_folder(folder, settings)
    if (folder / "model.bin").is_file():
        return read_card(folder)
    teacher = load_engine(settings.model, "float32", threads=threads)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or before)
        checkpoint = folder / _TRAINING / "checkpoint.pt"
        state = _train(settings, speakers, teacher, learner, prompt, checkpoint, progress)
        used = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    card = make_card(
        settings,
        corpus=summary.source,
        counts=(len(speakers.train), len(speakers.held_out)),
        held_out_speakers=speakers.held_out_speakers,
        validations=state.validations,
        train_kl=state.train_kl,
        seconds=state.seconds,
        threads=used,
        device=device,
    )
    write_card(folder, card)
    if learner.vectors is None:
        save_ct2_whisper(student, weights.folder, folder)  # last: a folder with a model.bin is finished
    else:
        write_learned_tail(folder / TAIL_FILE, learner.vectors.detach().cpu().numpy(), source_sha256)
        _copy_model(weights.folder, folder)
    shutil.rmtree(folder / _TRAINING, ignore_errors=True)
    return card


@dataclass(frozen=True, slots=True)
class _Learner:
    """What is trained: a student's encoder, or the vectors of a tail behind it.

    Args:
        student: The whole model.
        module: Holds what is trained, for checkpoints.
        parameters: What is trained.
        vectors: The tail, or None.
    """

    student: Any
    module: Any
    parameters: list[Any]
    vectors: Any


def _learner(student: Any, settings: ContextSettings) -> _Learner:
    import torch

    if not settings.learned_vectors:
        return _Learner(student, student.model.encoder, _trained_parameters(student), None)
    student.requires_grad_(False)
    silence = encode_silence(student)
    places = torch.linspace(0, len(silence) - 1, settings.learned_vectors).round().long()
    vectors = torch.nn.Parameter(silence[places.to(silence.device)].clone())
    return _Learner(student, torch.nn.ParameterList([vectors]), [vectors], vectors)


def _copy_model(source: Path, folder: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.suffix in (".json", ".txt") and path.is_file() and not (folder / path.name).exists():
            with whole_file(folder / path.name) as copy:
                shutil.copyfile(path, copy)
    with whole_file(folder / "model.bin") as copy:  # last: a folder with a model.bin is finished
        shutil.copyfile(source / "model.bin", copy)


def _train(
    settings: ContextSettings,
    speakers: Speakers,
    teacher: Engine,
    learner: _Learner,
    prompt: Prompt,
    checkpoint: Path,
    progress: Callable[[AdaptProgress], None] | None,
) -> Checkpoint:
    import torch

    parameters = learner.parameters
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    state = load_checkpoint(checkpoint, learner.module, optimizer)
    saved = started = monotonic()
    spent, first = state.seconds, state.step
    held_out = validation_windows(speakers.held_out, margin_s=settings.margin_s, seed=settings.seed)
    validation_targets = [teacher_targets(teacher, window, prompt, settings.language) for window in held_out]
    if not state.validations:
        state.validations.append(_validate(learner, validation_targets, prompt, settings, 0))
        save_checkpoint(checkpoint, state, learner.module, optimizer)
    saved_step, stepping = state.step, monotonic()
    while state.step < settings.steps:
        windows = draw_windows(
            speakers.train, state.step, n=settings.batch_size, margin_s=settings.margin_s, seed=settings.seed
        )
        examples = [teacher_targets(teacher, window, prompt, settings.language) for window in windows]
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(state.step, settings.steps)
        optimizer.zero_grad(set_to_none=True)
        losses = distil(learner.student, examples, prompt, tail=settings.tail, learned=learner.vectors, backward=True)
        norm = torch.nn.utils.clip_grad_norm_(parameters, _GRADIENT_NORM)
        if not isfinite(losses.total) or not isfinite(norm.item()):
            raise AllophoneError(
                f"{checkpoint}: at step {state.step + 1} the loss was {losses.total:.4g} and its gradient "
                f"{norm.item():.4g}; the checkpoint of step {saved_step} is kept. Use a smaller learning rate, in "
                "another folder."
            )
        optimizer.step()
        state.step += 1
        state.train_kl.append(losses.kl / max(losses.n_tokens, 1))
        if state.step % _VALIDATE_EVERY == 0 or state.step == settings.steps:
            state.validations.append(_validate(learner, validation_targets, prompt, settings, state.step))
        now = monotonic()
        state.seconds = spent + now - started
        if now - saved > _SAVE_EVERY_S or state.step == settings.steps:
            save_checkpoint(checkpoint, state, learner.module, optimizer)
            saved, saved_step = now, state.step
        if progress is not None:
            pace = (now - stepping) / (state.step - first)
            progress(AdaptProgress(state.step, settings.steps, pace * (settings.steps - state.step)))
    return state


def _validate(
    learner: _Learner, targets: Sequence[TeacherTargets], prompt: Prompt, settings: ContextSettings, step: int
) -> Validation:
    losses = distil(learner.student, targets, prompt, tail=settings.tail, learned=learner.vectors)
    return Validation(step, losses.kl / max(losses.n_tokens, 1), losses.hidden / losses.n_windows)


def _trained_parameters(student: Any) -> list[Any]:
    """Freeze all but the encoder; its position encodings are fixed sinusoids and stay so."""
    positions = student.model.encoder.embed_positions.weight
    student.requires_grad_(False)
    trained = [value for value in student.model.encoder.parameters() if value is not positions]
    for value in trained:
        value.requires_grad_(True)
    return trained


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: up over the first tenth, then down a cosine to a tenth."""
    warm_up = max(1, round(_WARM_UP_SHARE * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    left = (1 + cos(pi * (step - warm_up) / max(1, steps - warm_up))) / 2
    return _LEAST_RATE + (1 - _LEAST_RATE) * left


def _on_device(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        reason = str(error).partition("\n")[0]
        raise UsageError(f"device '{device}' cannot be used here ({reason}). Use cpu.") from None
