"""JSONL manifests: one utterance a line, in the NeMo convention."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allophone.errors import CorpusError
from allophone.records import Utterance

__all__ = ["read_manifest", "write_manifest_line"]


def read_manifest(path: Path) -> Iterator[Utterance]:
    """Yield the utterances of a manifest, one line in memory at a time.

    Keys: ``audio_filepath`` (absolute, or relative to the manifest) is required; ``id`` defaults to the file's stem;
    ``duration`` (seconds), ``text``, ``label`` and ``speaker`` are optional; others are ignored.

    Raises:
        CorpusError: A line is not a JSON object, or a field is missing or of the wrong type; the message names the
            file, the line, the field and the remedy.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse(line, path, number)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text ({error.reason}). Save the manifest as UTF-8.") from None
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read: {error.strerror}.") from None


def write_manifest_line(utterance: Utterance, root: Path) -> str:
    """Return the manifest line of an utterance, its path relative to ``root`` where it lies below."""
    path = utterance.audio_filepath
    relative = path.relative_to(root) if path.is_relative_to(root) else path
    fields = {
        "id": utterance.id,
        "audio_filepath": relative.as_posix(),
        "duration": utterance.duration_s,
        "text": utterance.text,
        "label": utterance.label,
        "speaker": utterance.speaker,
    }
    return json.dumps({key: value for key, value in fields.items() if value is not None}, ensure_ascii=False)


def _parse(line: str, path: Path, number: int) -> Utterance:
    where = f"{path}:{number}"
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"{where}: not valid JSON ({error.msg}, column {error.colno}). Mend or delete the line."
        ) from None
    if not isinstance(fields, dict):
        raise CorpusError(f'{where}: not a JSON object. Write {{"audio_filepath": ..., "text": ...}} on the line.')
    audio = _string(fields, "audio_filepath", where)
    if not audio:
        raise CorpusError(f"{where}: field 'audio_filepath' is missing. Name the recording.")
    duration = fields.get("duration")
    if duration is not None and (isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0):
        raise CorpusError(f"{where}: field 'duration' is {duration!r}. Give seconds as a number, or leave it out.")
    return Utterance(
        id=_string(fields, "id", where) or Path(audio).stem,
        audio_filepath=path.parent / audio,
        duration_s=None if duration is None else float(duration),
        text=_string(fields, "text", where),
        label=_string(fields, "label", where),
        speaker=_string(fields, "speaker", where),
    )


def _string(fields: dict[str, Any], key: str, where: str) -> str | None:
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # numeric speaker and utterance names are common
    raise CorpusError(f"{where}: field '{key}' is {value!r}. Give a string, or leave it out.")
