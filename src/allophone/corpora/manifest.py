"""JSONL manifests: one utterance per line, in the NeMo convention, or with AudioFolder's names of the fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from allophone.errors import CorpusError
from allophone.records.utterance import Utterance

__all__ = ["AUDIO_FIELDS", "SPEAKER_FIELDS", "TEXT_FIELDS", "named_field", "read_manifest", "write_manifest_line"]

# What a field is called: here and in NeMo, in AudioFolder, in data sets of the hub. The first that is there counts.
AUDIO_FIELDS = ("audio_filepath", "audio", "file_name")
TEXT_FIELDS = ("text", "sentence", "transcription", "transcript", "normalized_text")
SPEAKER_FIELDS = ("speaker", "speaker_id", "client_id")
_LONGEST_S = 1e9  # three decades; also refuses infinity and NaN
# Half of a UTF-16 pair is no character and cannot be written; in a path it stands for a byte that is not UTF-8.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_manifest(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a manifest, one line in memory at a time.

    Keys: ``audio_filepath``, ``audio`` or ``file_name`` (absolute, or relative to the manifest) is required; ``id``
    defaults to the file's stem; ``duration`` (seconds), ``text``, ``label`` and ``speaker`` are optional, text and
    speaker also under the names that data sets give them; others are ignored. With ``offset`` (seconds) the utterance
    is the part of the recording that begins there and lasts ``duration``, or to the end; its ``id`` then defaults to
    the stem with both ends of the part.

    Raises:
        CorpusError: A line is not a JSON object, or a field is missing or of the wrong type; the message names the
            file, the line, the field and the remedy.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:  # Windows editors put a byte order mark first
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse(line.rstrip("\n"), path, number)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text ({error.reason}). Save the manifest as UTF-8.") from None
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}.") from None


def write_manifest_line(utterance: Utterance, root: Path) -> str:
    """Return the manifest line of an utterance, its path relative to ``root`` where it lies below."""
    path = utterance.audio_filepath
    relative = (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
    fields = {
        "id": utterance.id,
        "audio_filepath": relative,
        "duration": utterance.duration_s,
        "text": utterance.text,
        "label": utterance.label,
        "speaker": utterance.speaker,
        "offset": utterance.offset_s,
    }
    line = {key: value for key, value in fields.items() if value is not None}
    return json.dumps(line, ensure_ascii=bool(_LONE_SURROGATE.search(relative)))


def _parse(line: str, path: Path, number: int) -> Utterance:
    where = f"{path}:{number}"
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"{where}: not valid JSON ({error.msg}, column {error.colno}). Mend or delete the line."
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets a thousand deep
        raise CorpusError(f"{where}: not usable JSON ({error}). Mend or delete the line.") from None
    if not isinstance(fields, dict):
        raise CorpusError(f'{where}: not a JSON object. Write {{"audio_filepath": ..., "text": ...}} on the line.')
    audio = _audio(fields, where)
    duration_s, offset_s = (_seconds(fields, key, where) for key in ("duration", "offset"))
    if offset_s is not None and duration_s == 0:
        raise CorpusError(f"{where}: field 'duration' is 0, and a part of no length holds nothing. Mend or delete it.")
    if offset_s == 0 and duration_s is None:
        offset_s = None  # the whole recording
    stem = Path(audio).stem
    if offset_s:  # at 0 the stem alone, as for a whole recording: many manifests write an offset of 0 everywhere
        end = "" if duration_s is None else f"-{offset_s + duration_s:.12g}"
        stem += f"-{offset_s:.12g}{end}"
    return Utterance(
        id=_string(fields, "id", where) or stem,
        audio_filepath=path.parent / audio,
        duration_s=duration_s,
        text=_string(fields, named_field(fields, TEXT_FIELDS), where),
        label=_string(fields, "label", where),
        speaker=_string(fields, named_field(fields, SPEAKER_FIELDS), where),
        offset_s=offset_s,
    )


def named_field(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of the names that is a field with a value; the first where none is."""
    return next((name for name in names if fields.get(name) is not None), names[0])


def _audio(fields: dict[str, Any], where: str) -> str:
    key = named_field(fields, AUDIO_FIELDS)
    if isinstance(nested := fields.get(key), dict):  # {"path": ..., "bytes": null}, as data sets are exported
        fields = {key: nested.get("path")}
    audio = _string(fields, key, where)
    if not audio:
        raise CorpusError(f"{where}: field 'audio_filepath' is missing. Name the recording.")
    return audio


def _seconds(fields: dict[str, Any], key: str, where: str) -> float | None:
    value = fields.get(key)
    if value is None:
        return None
    if not _is_duration(value):
        raise CorpusError(f"{where}: field '{key}' is {value!r}. Give seconds as a number, or leave it out.")
    return float(value)


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_S


def _string(fields: dict[str, Any], key: str, where: str) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        if "\0" in value or (key not in AUDIO_FIELDS and _LONE_SURROGATE.search(value)):
            raise CorpusError(f"{where}: field '{key}' is {value!r}, which is no text. Mend or delete the line.")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # numeric speaker and utterance names are common
    raise CorpusError(f"{where}: field '{key}' is {value!r}. Give a string, or leave it out.")
