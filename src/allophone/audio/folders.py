"""Corpora that are folders: recordings with side-car transcripts, a LibriSpeech tree, or names that state emotions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from allophone.audio.decode import AUDIO_SUFFIXES
from allophone.audio.named_labels import label_of_name
from allophone.errors import CorpusError
from allophone.records import Utterance
from allophone.unicode_text import printable

__all__ = ["read_folder"]

_LIBRISPEECH = ".trans.txt"


def read_folder(folder: Path) -> Iterator[Utterance]:
    """Yield every recording below a folder, directory by directory in sorted order.

    A directory with a ``*.trans.txt`` file is read as LibriSpeech (``ID TRANSCRIPT`` a line; the speaker is the part of
    the ID before the first dash). Other recordings have their transcript beside them, ``x.txt`` for ``x.wav``, or none;
    their ID is the path below ``folder`` without its suffix, with bytes that are not UTF-8 escaped. Names in the form
    of CREMA-D or RAVDESS state label and speaker.

    Raises:
        CorpusError: A directory cannot be listed, or a transcript file is not UTF-8.
    """
    seen: set[tuple[int, int]] = set()
    for directory, subdirectories, names in os.walk(folder, followlinks=True, onerror=_refuse):
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
        here = Path(directory)
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:  # a link back up, or a second way to the same recordings
            subdirectories.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        listed: set[str] = set()
        for name in sorted(name for name in names if name.endswith(_LIBRISPEECH)):
            for utterance in _librispeech(here / name):
                listed.add(utterance.audio_filepath.name)
                yield utterance
        yield from _side_cars(folder, here, sorted(set(names) - listed))


def _side_cars(root: Path, directory: Path, names: list[str]) -> Iterator[Utterance]:
    for name in names:
        path = directory / name
        if path.suffix.lower() not in AUDIO_SUFFIXES or name.startswith("."):
            continue
        side_car = path.with_suffix(".txt")
        text = _read_text(side_car).strip() if side_car.is_file() else None
        name_below = path.relative_to(root).with_suffix("").as_posix()
        own_id = printable(name_below)
        label, speaker = label_of_name(path.stem)
        yield Utterance(id=own_id, audio_filepath=path, text=text, label=label, speaker=speaker)


def _librispeech(transcript: Path) -> Iterator[Utterance]:
    for line in _read_text(transcript).split("\n"):
        if not line.strip():
            continue
        name, text = (*line.split(maxsplit=1), "")[:2]
        candidates = [transcript.parent / f"{name}{suffix}" for suffix in (".flac", ".wav", ".opus", ".ogg", ".mp3")]
        path = next((candidate for candidate in candidates if candidate.is_file()), candidates[0])
        yield Utterance(id=name, audio_filepath=path, text=text.strip(), speaker=name.partition("-")[0])


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text ({error.reason}). Save the transcript as UTF-8.") from None
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror}). Check the file.") from None


def _refuse(error: OSError) -> None:
    raise CorpusError(f"{error.filename}: cannot be listed ({error.strerror}). Check the folder.")
