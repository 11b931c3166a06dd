"""``allophone transcribe``: run a saved operating point on recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["transcribe"]

_FORMATS = ("text", "json", "srt", "vtt")


def transcribe(
    audio: Annotated[list[Path], typer.Argument(help="Recordings, in any format that FFmpeg reads.")],
    point: Annotated[Path, typer.Option(help="What 'allophone recommend --out' saved.")],
    style: Annotated[str, typer.Option("--format", help="text, json, srt or vtt.")] = "text",
    language: Annotated[str | None, typer.Option(help="Language code, or auto; else as measured.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write one file a recording into this folder.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "cpu",
) -> None:
    """Transcribe recordings at a saved operating point; one that cannot be read is reported and passed over."""
    from allophone.errors import AudioError, UsageError
    from allophone.ledger.run_record import machine_stamp
    from allophone.models.formats import format_transcript
    from allophone.models.transcriber import load_point

    if style not in _FORMATS:
        raise UsageError(f"--format '{style}': write one of {', '.join(_FORMATS)}.")
    transcriber = load_point(point, language=language, threads=threads or machine_stamp().cores, device=device)
    failed = 0
    for path in audio:
        try:
            transcript = transcriber.transcribe(path, words=style in ("srt", "vtt", "json"))
        except AudioError as error:
            typer.echo(f"allophone: {error}", err=True)
            failed += 1
            continue
        text = format_transcript(transcript, style)  # type: ignore[arg-type]
        if out is not None:
            _write(out / f"{path.stem}.{'txt' if style == 'text' else style}", text)
        elif len(audio) > 1 and style == "text":
            typer.echo(f"{path}: {text}")
        else:
            typer.echo(text)
    if failed:
        typer.echo(f"allophone: {failed} of {len(audio)} recordings could not be transcribed.", err=True)
        raise typer.Exit(1)


def _write(path: Path, text: str) -> None:
    from allophone.ledger.run_record import write_json

    write_json(path, text + "\n")
