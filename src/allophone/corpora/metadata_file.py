"""Metadata tables beside recordings: AudioFolder's ``metadata.csv`` and ``metadata.jsonl``, and LJSpeech's."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from allophone.audio.decode import AUDIO_SUFFIXES
from allophone.corpora.manifest import SPEAKER_FIELDS, TEXT_FIELDS, named_field, read_manifest
from allophone.corpora.passed_over import PassedOver
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance
from allophone.unicode_text import as_unicode

__all__ = ["METADATA_FILES", "read_metadata", "recording_id"]

METADATA_FILES = ("metadata.csv", "metadata.jsonl")
_LJSPEECH_FOLDER = "wavs"


def read_metadata(path: Path, root: Path, passed_over: PassedOver) -> Iterator[Utterance]:
    """Yield the utterances of a table; of a CSV file that is neither AudioFolder's nor LJSpeech's none.

    AudioFolder: a column or key ``file_name``, relative to the table; text and speaker under their usual names.
    LJSpeech: ``ID|text|normalised text`` per line without a header, the recording being ``wavs/ID.wav`` or ``ID.wav``;
    the normalised text is taken where there is one. An utterance's ID is its recording's path below ``root`` without
    the suffix, or LJSpeech's own.

    Args:
        path: The table.
        root: The corpus's folder.
        passed_over: Takes lines that name no recording.

    Raises:
        CorpusError: It cannot be read, is not UTF-8, or a line of ``metadata.jsonl`` is wrong.
    """
    if path.suffix == ".jsonl":
        for utterance in read_manifest(path):
            plain = utterance.id == utterance.audio_filepath.stem
            yield replace(utterance, id=recording_id(utterance.audio_filepath, root)) if plain else utterance
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            first = lines.readline()
            lines.seek(0)
            if "file_name" in next(csv.reader([first]), []):
                yield from _audio_folder(path, csv.DictReader(lines), root, passed_over)
            elif first.count("|") in (1, 2):
                rows = csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE)
                yield from _ljspeech(path, rows, passed_over)
            else:
                passed_over.add("tables without a column file_name", path)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text ({error.reason}). Save the table as UTF-8.") from None
    except csv.Error as error:
        raise CorpusError(f"{path}: not a table ({error}). Mend or delete the file.") from None
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror}). Check the file.") from None


def recording_id(path: Path, root: Path) -> str:
    """Return a recording's path below ``root`` without its suffix, as whole Unicode text."""
    below = path.relative_to(root) if path.is_relative_to(root) else path
    return as_unicode(below.with_suffix("").as_posix())


def _audio_folder(path: Path, rows: csv.DictReader[str], root: Path, passed_over: PassedOver) -> Iterator[Utterance]:
    for row in rows:
        name = (row.get("file_name") or "").strip()
        if not name or "\0" in name:
            passed_over.add("lines without a file_name", path, rows.line_num)
            continue
        recording = path.parent / name
        text, speaker = row.get(named_field(row, TEXT_FIELDS)), row.get(named_field(row, SPEAKER_FIELDS))
        yield Utterance(
            id=recording_id(recording, root),
            audio_filepath=recording,
            text=None if text is None else text.strip(),
            label=row.get("label") or None,
            speaker=speaker or None,
        )


def _ljspeech(path: Path, rows: Iterator[list[str]], passed_over: PassedOver) -> Iterator[Utterance]:
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        if len(row) < 2 or not row[0].strip() or "\0" in row[0]:
            passed_over.add("lines that are not ID|text", path, number)
            continue
        name = row[0].strip()
        text = row[2] if len(row) > 2 and row[2].strip() else row[1]
        suffixes = (".wav", *sorted(AUDIO_SUFFIXES - {".wav"}))
        folders = (path.parent / _LJSPEECH_FOLDER, path.parent)
        candidates = (folder / f"{name}{suffix}" for suffix in suffixes for folder in folders)
        recording = next((one for one in candidates if one.is_file()), folders[0] / f"{name}.wav")
        yield Utterance(id=name, audio_filepath=recording, text=text.strip())
