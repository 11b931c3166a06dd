"""Corpora in folders: side-car transcripts, tables, a LibriSpeech tree, or names that state emotions."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from allophone.audio.decode import AUDIO_SUFFIXES
from allophone.corpora.metadata_file import METADATA_FILES, read_metadata, recording_id
from allophone.corpora.passed_over import PassedOver
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance
from allophone.unicode_text import as_unicode

__all__ = ["label_of_name", "read_folder"]

# Cao et al., "CREMA-D: Crowd-sourced emotional multimodal actors dataset", 2014: actor, sentence, emotion, intensity.
_CREMA_D = re.compile(r"(?P<speaker>\d{4})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}")
_CREMA_D_EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
# Livingstone and Russo, "The Ryerson audio-visual database of emotional speech and song", 2018: modality, channel,
# emotion, intensity, statement, repetition, actor; two digits each.
_RAVDESS = re.compile(r"\d\d-\d\d-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)")
_RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}


def label_of_name(stem: str) -> tuple[str | None, str | None]:
    """Return label and speaker that a file's name states: ``1001_DFA_ANG_XX`` or ``03-01-06-01-02-01-12``.

    A name of either form with an emotion code of neither corpus has a speaker and no label; any other name has
    neither. Both corpora use the same words for the same emotion.

    Args:
        stem: The file's name without its suffix.
    """
    for form, emotions in ((_CREMA_D, _CREMA_D_EMOTIONS), (_RAVDESS, _RAVDESS_EMOTIONS)):
        if match := form.fullmatch(stem):
            return emotions.get(match["emotion"]), match["speaker"]
    return None, None


_LIBRISPEECH = ".trans.txt"
_TRANSCRIPT = ".txt"
_NOT_UTF_8 = "transcripts that are not UTF-8 (with their recordings)"
_UNREADABLE = "transcripts that cannot be read (with their recordings)"


def read_folder(folder: Path, passed_over: PassedOver | None = None) -> Iterator[Utterance]:
    """Yield every recording below a folder, directory by directory in sorted order.

    A directory with ``metadata.csv`` or ``metadata.jsonl`` has its recordings listed there
    (:mod:`allophone.corpora.metadata_file`). One with a ``*.trans.txt`` file is read as LibriSpeech (``ID TRANSCRIPT``
    per line; the speaker is the part of the ID before the first dash). Other recordings have their transcript beside
    them, ``x.txt`` or ``x.TXT`` for ``x.wav``, or none; composed and decomposed letters of a name are one. Their ID is
    the path below ``folder`` without its suffix, with bytes that are not UTF-8 escaped. Names in the form of CREMA-D
    or RAVDESS state label and speaker. A recording whose transcript cannot be read is passed over.

    Args:
        folder: Where to look.
        passed_over: Takes what is no part of the corpus.

    Raises:
        CorpusError: A directory cannot be listed, or a table cannot be read.
    """
    passed_over = passed_over or PassedOver(folder)
    seen: set[tuple[int, int]] = set()
    listed: set[Path] = set()  # by tables; they may name recordings in directories that come later
    for directory, subdirectories, names in os.walk(folder, followlinks=True, onerror=_refuse):
        subdirectories[:] = sorted(name for name in subdirectories if not name.startswith("."))
        here = Path(directory)
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:  # a link back up, or a second way to the same recordings
            subdirectories.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        tables = [name for name in METADATA_FILES if name in names]
        for name in tables:
            for utterance in read_metadata(here / name, folder, passed_over):
                listed.add(_plain(utterance.audio_filepath))
                yield utterance
        trees = sorted(name for name in names if name.endswith(_LIBRISPEECH))
        for name in trees:
            for utterance in _librispeech(here / name, listed, passed_over):
                listed.add(utterance.audio_filepath)
                yield utterance
        others = sorted(set(names) - set(tables) - set(trees))
        yield from _side_cars(folder, here, others, listed, passed_over)


def _side_cars(
    root: Path, directory: Path, names: Sequence[str], listed: set[Path], passed_over: PassedOver
) -> Iterator[Utterance]:
    visible = [name for name in names if not name.startswith(".")]
    recordings = [name for name in visible if Path(name).suffix.lower() in AUDIO_SUFFIXES]
    transcripts = [name for name in visible if Path(name).suffix.lower() == _TRANSCRIPT]
    beside = {_composed(Path(name).stem): name for name in reversed(transcripts)}
    beside |= {
        Path(name).stem: name for name in transcripts if name.endswith(_TRANSCRIPT)
    }  # the exact name counts most
    used: set[str] = set()
    for name in recordings:
        path = directory / name
        side_car = beside.get(path.stem) or beside.get(_composed(path.stem))
        if side_car is not None:
            used.add(side_car)
        if _plain(path) in listed:
            continue
        if not _may_be_read(path):
            passed_over.add("pipes and devices", path)
            continue
        text = None
        if side_car is not None:
            text = _read_text(directory / side_car, passed_over)
            if text is None:
                continue
        label, speaker = label_of_name(path.stem)
        yield Utterance(
            id=recording_id(path, root),
            audio_filepath=path,
            text=None if text is None else text.strip(),
            label=label,
            speaker=speaker,
        )
    for name in visible:
        if name in used or Path(name).suffix.lower() in AUDIO_SUFFIXES:
            continue
        alone = name in transcripts
        passed_over.add("transcripts without a recording" if alone else "files that are no recording", directory / name)


def _librispeech(transcript: Path, listed: set[Path], passed_over: PassedOver) -> Iterator[Utterance]:
    try:
        lines = transcript.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise CorpusError(f"{transcript}: cannot be read ({error.strerror}). Check the file.") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, text = (*line.decode("utf-8", "surrogateescape").split(maxsplit=1), "")[:2]
        candidates = [transcript.parent / f"{name}{suffix}" for suffix in (".flac", ".wav", ".opus", ".ogg", ".mp3")]
        path = next((candidate for candidate in candidates if candidate.is_file()), candidates[0])
        if not _is_whole(name + text):
            passed_over.add(_NOT_UTF_8, transcript, number)
            listed.add(path)  # without its words it is no part of the corpus
            continue
        yield Utterance(id=name, audio_filepath=path, text=text.strip(), speaker=name.partition("-")[0])


def _is_whole(text: str) -> bool:
    return as_unicode(text) == text


def _read_text(path: Path, passed_over: PassedOver) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        passed_over.add(_NOT_UTF_8, path)
    except OSError:
        passed_over.add(_UNREADABLE, path)
    return None


def _may_be_read(path: Path) -> bool:
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return True  # reported when its turn comes
    return kind in (stat.S_IFREG, stat.S_IFDIR)


def _plain(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _refuse(error: OSError) -> None:
    raise CorpusError(f"{error.filename}: cannot be listed ({error.strerror}). Check the folder.")
