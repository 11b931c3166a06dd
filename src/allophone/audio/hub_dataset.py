"""A Hugging Face data set, streamed once into a folder with a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from allophone.audio.cache import cache_folder
from allophone.audio.manifest import write_manifest_line
from allophone.errors import AllophoneError, CorpusError, MissingExtraError, UsageError
from allophone.records import Utterance

__all__ = ["HUB_PREFIX", "fetch_dataset"]

HUB_PREFIX = "hf:"
_OPTIONS = frozenset({"split", "config", "audio", "text", "speaker", "id", "limit", "revision"})
_TEXT_COLUMNS = ("text", "sentence", "transcription", "transcript", "normalized_text")
_SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")


def fetch_dataset(source: str) -> Path:
    """Stream ``hf:NAME?split=test&config=clean&text=sentence&limit=500`` to disk, encoded audio as it is.

    Options: ``split`` (required), ``config``, ``revision``, ``limit`` (first N rows) and the columns ``audio``,
    ``text``, ``speaker``, ``id`` where they are not called by a usual name. A set once fetched is not fetched again.

    Returns:
        The manifest.

    Raises:
        UsageError: The source has no split, an unknown option or a limit that is not a whole number.
        MissingExtraError: The extra ``datasets`` is not installed.
        CorpusError: The data set cannot be loaded, or a named column is not there.
    """
    name, options = _parse(source)
    folder = cache_folder() / "datasets" / sha256(source.encode()).hexdigest()[:16]
    manifest = folder / "manifest.jsonl"
    if manifest.is_file():
        return manifest
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("datasets", "datasets") from None
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    partial = folder / f"manifest.{os.getpid()}.partial"
    try:
        rows = datasets.load_dataset(
            name, options.get("config"), split=options["split"], revision=options.get("revision"), streaming=True
        )
        audio = _column(source, "audio", options, rows.column_names or [], ("audio",))
        rows = rows.cast_column(audio, datasets.Audio(decode=False))
        with partial.open("w", encoding="utf-8") as lines:
            for utterance in _utterances(source, rows, audio, options, folder):
                lines.write(write_manifest_line(utterance, folder) + "\n")
    except AllophoneError:
        raise
    except Exception as error:  # the library raises many kinds, from network to parsing
        raise CorpusError(f"{source}: cannot be loaded: {str(error).splitlines()[0]}") from error
    partial.replace(manifest)
    return manifest


def _utterances(source: str, rows: Any, audio: str, options: dict[str, str], folder: Path) -> Iterator[Utterance]:
    columns = list(rows.column_names or [])
    text = _column(source, "text", options, columns, _TEXT_COLUMNS, required=False)
    speaker = _column(source, "speaker", options, columns, _SPEAKER_COLUMNS, required=False)
    name = _column(source, "id", options, columns, ("id",), required=False)
    limit = int(options["limit"]) if "limit" in options else None
    for number, row in enumerate(islice(rows, limit)):
        recording = row[audio]
        suffix = Path(recording.get("path") or "").suffix or ".wav"
        path = folder / "audio" / f"{number:07d}{suffix}"
        content = recording.get("bytes")
        path.write_bytes(content if content is not None else Path(recording["path"]).read_bytes())
        yield Utterance(
            id=str(row[name]) if name else f"{number:07d}",
            audio_filepath=path,
            text=None if not text or row[text] is None else str(row[text]),
            speaker=None if not speaker or row[speaker] is None else str(row[speaker]),
        )


def _column(
    source: str,
    role: str,
    options: dict[str, str],
    columns: list[str],
    usual: tuple[str, ...],
    *,
    required: bool = True,
) -> str:
    wanted = (options[role],) if role in options else usual
    found = next((column for column in wanted if column in columns), "")
    if not found and (required or role in options):
        raise CorpusError(f"{source}: no column '{wanted[0]}'; it has {', '.join(columns)}. Add {role}=COLUMN.")
    return found


def _parse(source: str) -> tuple[str, dict[str, str]]:
    name, _, query = source.removeprefix(HUB_PREFIX).partition("?")
    options = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
    if unknown := sorted(set(options) - _OPTIONS):
        raise UsageError(f"{source}: unknown option '{unknown[0]}'; known: {', '.join(sorted(_OPTIONS))}.")
    if not name or "split" not in options:
        raise UsageError(
            f"{source}: write hf:NAME?split=SPLIT, for example hf:openslr/librispeech_asr?split=test.other"
        )
    if "limit" in options and not options["limit"].isdecimal():
        raise UsageError(f"{source}: limit is '{options['limit']}'. Give a whole number of utterances.")
    return name, options
