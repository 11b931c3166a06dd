"""JSONL manifests: one utterance a line, in the NeMo convention."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allophone.errors import CorpusError
from allophone.records import Utterance

__all__ = ["read_manifest", "write_manifest_line"]

_LONGEST_S = 1e9  # three decades; also refuses infinity and NaN
# Half of a UTF-16 pair is no character and cannot be written; in a path it stands for a byte that is not UTF-8.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_manifest(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a manifest, one line in memory at a time.

    Keys: ``audio_filepath`` (absolute, or relative to the manifest) is required; ``id`` defaults to the file's stem;
    ``duration`` (seconds), ``text``, ``label`` and ``speaker`` are optional; others are ignored.

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
    audio = _string(fields, "audio_filepath", where)
    if not audio:
        raise CorpusError(f"{where}: field 'audio_filepath' is missing. Name the recording.")
    duration = fields.get("duration")
    if duration is not None and not _is_duration(duration):
        raise CorpusError(f"{where}: field 'duration' is {duration!r}. Give seconds as a number, or leave it out.")
    return Utterance(
        id=_string(fields, "id", where) or Path(audio).stem,
        audio_filepath=path.parent / audio,
        duration_s=None if duration is None else float(duration),
        text=_string(fields, "text", where),
        label=_string(fields, "label", where),
        speaker=_string(fields, "speaker", where),
    )


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_S


def _string(fields: dict[str, Any], key: str, where: str) -> str | None:
    value = fields.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        if "\0" in value or (key != "audio_filepath" and _LONE_SURROGATE.search(value)):
            raise CorpusError(f"{where}: field '{key}' is {value!r}, which is no text. Mend or delete the line.")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # numeric speaker and utterance names are common
    raise CorpusError(f"{where}: field '{key}' is {value!r}. Give a string, or leave it out.")
