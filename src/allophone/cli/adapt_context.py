"""``allophone adapt context`` and ``adapt tail``: a model taught by itself, to do with short windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from allophone.cli.say import hint, say

if TYPE_CHECKING:
    from allophone.adapt.record import ContextCard

__all__ = ["context", "tail"]

Corpus = Annotated[str, typer.Argument(help="A .jsonl manifest, a folder, or hf:NAME?split=...; only its audio.")]
Margin = Annotated[float, typer.Option(min=0, help="Seconds of silence after the audio.")]
Steps = Annotated[int, typer.Option(min=1, help="Optimiser steps.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Windows per step.")]
LearningRate = Annotated[float, typer.Option(help="Peak of AdamW's learning rate.")]
Seed = Annotated[int, typer.Option(min=0, help="Of held-out speakers and windows.")]
HeldOut = Annotated[int, typer.Option(min=1, help="Speakers kept for validation.")]
Language = Annotated[str, typer.Option(help="Language code of the speech.")]
Device = Annotated[str, typer.Option(help="Where the student trains: cpu or cuda.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes the default.")]


def context(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Folder for the weights; the same command continues what was stopped.")],
    model: Annotated[str, typer.Option(help="Weights to begin from: a name, a CTranslate2 folder, a hub repository.")],
    margin_s: Margin = 1.0,
    tail: Annotated[str, typer.Option(help="What the decoder will see behind the window: none, or all.")] = "none",
    steps: Steps = 400,
    batch_size: BatchSize = 8,
    learning_rate: LearningRate = 3e-5,
    seed: Seed = 0,
    held_out: HeldOut = 4,
    language: Language = "en",
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Teach an encoder, without transcripts, to do with the audio and a margin instead of 30 s."""
    settings = locals()
    from allophone.adapt.short_context import adapt_context

    card = _learn("adapting", adapt_context, **settings)
    say(f"Weights and card: {out} ({card.seconds:.0f} s in all).")
    hint(
        f"Next: allophone sweep YOUR_CORPUS --models {model},{out} --axis context=full,fit "
        f"--axis margin_s={margin_s:g} --axis floor_s=0 --out runs/adapted"
    )


def tail(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Folder for the model with its tail; called again, it goes on.")],
    model: Annotated[str, typer.Option(help="The model: a name, a CTranslate2 folder, a hub repository.")],
    margin_s: Margin = 1.0,
    tokens: Annotated[int, typer.Option(min=1, help="Vectors of the tail.")] = 64,
    steps: Steps = 600,
    batch_size: BatchSize = 8,
    learning_rate: LearningRate = 2e-2,
    seed: Seed = 0,
    held_out: HeldOut = 4,
    language: Language = "en",
    device: Device = "cpu",
    threads: Threads = 0,
) -> None:
    """Learn vectors, without transcripts, that tell a decoder the end of the audio as 30 s of silence do."""
    settings = locals()
    from allophone.adapt.short_context import adapt_tail

    card = _learn("learning", adapt_tail, **settings)
    say(f"Model, tail and card: {out} ({card.seconds:.0f} s in all).")
    hint(
        f"Next: allophone sweep YOUR_CORPUS --models {out} --axis context=full,fit "
        f"--axis tail=all,learned-{tokens} --axis margin_s={margin_s:g} --out runs/tail"
    )


def _learn(doing: str, adapt: Callable[..., ContextCard], corpus: str, out: Path, **settings: Any) -> ContextCard:
    """Adapt under a progress line that Ctrl-C ends well, and tell what the held-out speakers showed."""
    from allophone.adapt.short_context import AdaptProgress
    from allophone.cli.show import show_progress
    from allophone.cli.stopping import interruptible
    from allophone.sweeps.recognition.run import Progress

    with interruptible(out, "all but the last minute is kept"), show_progress() as show:

        def advance(now: AdaptProgress) -> None:
            show(Progress(doing, now.done, now.total, now.remaining_s))

        card = adapt(corpus, out=out, **settings, progress=advance)
    first, last = card.validations[0], card.validations[-1]
    say(
        f"Held-out speakers {', '.join(card.held_out_speakers)}: KL {first.kl:.4f} before, {last.kl:.4f} after "
        f"{last.step} steps (nats per token)."
    )
    return card
