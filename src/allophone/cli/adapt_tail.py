"""``allophone adapt tail``: learn a tail for a model whose weights stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import hint, say

__all__ = ["tail"]


def tail(
    corpus: Annotated[str, typer.Argument(help="A .jsonl manifest, a folder, or hf:NAME?split=...; only its audio.")],
    out: Annotated[Path, typer.Option(help="Folder for the model with its tail; called again, it goes on.")],
    model: Annotated[str, typer.Option(help="The model: a name, a CTranslate2 folder, a hub repository.")],
    margin_s: Annotated[float, typer.Option(min=0, help="Seconds of silence after the audio.")] = 1.0,
    tokens: Annotated[int, typer.Option(min=1, help="Vectors of the tail.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 600,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows a step.")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Peak of AdamW's learning rate.")] = 2e-2,
    seed: Annotated[int, typer.Option(min=0, help="Of held-out speakers and windows.")] = 0,
    held_out: Annotated[int, typer.Option(min=1, help="Speakers kept for validation.")] = 4,
    language: Annotated[str, typer.Option(help="Language code of the speech.")] = "en",
    device: Annotated[str, typer.Option(help="Where the tail trains: cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes the default.")] = 0,
) -> None:
    """Learn vectors, without transcripts, that tell a decoder the end of the audio as 30 s of silence do."""
    from allophone.adapt.short_context import AdaptProgress, adapt_tail
    from allophone.cli.show import show_progress
    from allophone.cli.stopping import interruptible
    from allophone.sweeps.recognition.run import Progress

    with interruptible(out, "all but the last minute is kept"), show_progress() as show:

        def advance(now: AdaptProgress) -> None:
            show(Progress("learning", now.done, now.total, now.remaining_s))

        card = adapt_tail(
            corpus,
            out=out,
            model=model,
            margin_s=margin_s,
            tokens=tokens,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            held_out=held_out,
            language=language,
            device=device,
            threads=threads,
            progress=advance,
        )
    first, last = card.validations[0], card.validations[-1]
    say(
        f"Held-out speakers {', '.join(card.held_out_speakers)}: KL {first.kl:.4f} before, {last.kl:.4f} after "
        f"{last.step} steps (nats a token)."
    )
    say(f"Model, tail and card: {out} ({card.seconds:.0f} s in all).")
    hint(
        f"Next: allophone sweep YOUR_CORPUS --models {out} --axis context=full,fit "
        f"--axis tail=all,learned-{tokens} --axis margin_s={margin_s:g} --out runs/tail"
    )
