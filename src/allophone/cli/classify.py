"""``allophone classify``: what emotion is heard in recordings, and how sure that is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["classify"]

_FORMATS = ("text", "json")


def classify(
    audio: Annotated[list[Path], typer.Argument(help="Recordings, in any format that FFmpeg reads.")],
    model: Annotated[Path, typer.Option(help="What 'allophone adapt emotion --out' wrote.")],
    style: Annotated[str, typer.Option("--format", help="text, or json: one object a line.")] = "text",
    base: Annotated[str | None, typer.Option(help="The base model, if it lies elsewhere now.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes the default.")] = 0,
) -> None:
    """Classify recordings, long ones in windows; one that cannot be read is reported and passed over."""
    from allophone.adapt.emotion_classify import EmotionClassifier
    from allophone.errors import AudioError, UsageError

    if style not in _FORMATS:
        raise UsageError(f"--format '{style}': write one of {', '.join(_FORMATS)}.")
    classifier = EmotionClassifier(model, base=base, device=device, threads=threads)
    failed = 0
    for path in audio:
        try:
            found = classifier.classify(path)
        except AudioError as error:
            typer.echo(f"allophone: {error}", err=True)
            failed += 1
            continue
        if style == "json":
            typer.echo(json.dumps({"audio": str(path), **asdict(found)}, ensure_ascii=False))
            continue
        others = sorted(found.posterior.items(), key=lambda item: -item[1])[1:]
        rest = ", ".join(f"{label} {100 * share:.0f} %" for label, share in others)
        typer.echo(f"{path}: {found.label} {100 * found.confidence:.0f} % ({rest})")
    if failed:
        typer.echo(f"allophone: {failed} of {len(audio)} recordings could not be classified.", err=True)
        raise typer.Exit(1)
