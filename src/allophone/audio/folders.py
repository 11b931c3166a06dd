"""Corpora that are folders: recordings with side-car transcripts, or a LibriSpeech tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from allophone.audio.decode import AUDIO_SUFFIXES
from allophone.errors import CorpusError
from allophone.records import Utterance

__all__ = ["read_folder"]

_LIBRISPEECH = ".trans.txt"


def read_folder(folder: Path) -> Iterator[Utterance]:
    """Yield every recording below a folder, directory by directory in sorted order.

    A directory with a ``*.trans.txt`` file is read as LibriSpeech (``ID TRANSCRIPT`` a line; the speaker is the part of
    the ID before the first dash). Elsewhere the transcript of ``x.wav`` is ``x.txt`` beside it, where there is one, and
    the ID is the path below ``folder`` without its suffix.

    Raises:
        CorpusError: A transcript file is not UTF-8, or a LibriSpeech line names a recording that is not there.
    """
    for directory, subdirectories, names in os.walk(folder, followlinks=True):
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
        here = Path(directory)
        transcripts = sorted(name for name in names if name.endswith(_LIBRISPEECH))
        if transcripts:
            for name in transcripts:
                yield from _librispeech(here / name)
        else:
            yield from _side_cars(folder, here, sorted(names))


def _side_cars(root: Path, directory: Path, names: list[str]) -> Iterator[Utterance]:
    for name in names:
        path = directory / name
        if path.suffix.lower() not in AUDIO_SUFFIXES or name.startswith("."):
            continue
        side_car = path.with_suffix(".txt")
        text = _read_text(side_car).strip() if side_car.is_file() else None
        yield Utterance(id=path.relative_to(root).with_suffix("").as_posix(), audio_filepath=path, text=text)


def _librispeech(transcript: Path) -> Iterator[Utterance]:
    for number, line in enumerate(_read_text(transcript).splitlines(), start=1):
        if not line.strip():
            continue
        name, _, text = line.strip().partition(" ")
        candidates = [transcript.parent / f"{name}{suffix}" for suffix in (".flac", ".wav", ".opus", ".ogg", ".mp3")]
        path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is None:
            raise CorpusError(
                f"{transcript}:{number}: no recording {name}.flac beside it. Copy it, or delete the line."
            )
        yield Utterance(id=name, audio_filepath=path, text=text, speaker=name.partition("-")[0])


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text ({error.reason}). Save the transcript as UTF-8.") from None
