"""Hugging Face data sets, streamed once into a folder with a manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from allophone.cache import cache_folder
from allophone.corpora.manifest import SPEAKER_FIELDS, TEXT_FIELDS, write_manifest_line
from allophone.errors import AllophoneError, CorpusError, UsageError
from allophone.extras import importing
from allophone.records.utterance import Utterance

__all__ = ["HUB_PREFIX", "fetch_dataset"]

HUB_PREFIX = "hf:"
_OPTIONS = frozenset({"split", "config", "audio", "text", "speaker", "id", "limit", "revision"})


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
    with importing("datasets", "datasets"):
        import datasets
    partial = folder / f"manifest.{os.getpid()}.partial"
    try:
        (folder / "audio").mkdir(parents=True, exist_ok=True)
        rows = datasets.load_dataset(
            name, options.get("config"), split=options["split"], revision=options.get("revision"), streaming=True
        )
        audio = _column(source, "audio", options, rows.column_names or [], ("audio",))
        rows = rows.cast_column(audio, _as_stored())
        with partial.open("w", encoding="utf-8") as lines:
            for utterance in _utterances(source, rows, audio, options, folder):
                lines.write(write_manifest_line(utterance, folder) + "\n")
        partial.replace(manifest)
    except AllophoneError:
        raise
    except Exception as error:  # the library raises many kinds, from network to parsing
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise CorpusError(
            f"{source}: cannot be loaded: {reason}. Check its name and split, and the connection."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return manifest


def _as_stored() -> Any:
    """Return the feature type of recordings that stay encoded: ``{"path": ..., "bytes": ...}``, one of them None."""
    import datasets

    class AsStored(datasets.Audio):  # type: ignore[misc]
        # The inherited method wants torchcodec even where nothing is encoded.
        def encode_example(self, value: Any) -> Any:
            return {"path": str(value), "bytes": None} if isinstance(value, str | Path) else value

    return AsStored(decode=False)


def _utterances(source: str, rows: Any, audio: str, options: dict[str, str], folder: Path) -> Iterator[Utterance]:
    columns = list(rows.column_names or [])
    text = _column(source, "text", options, columns, TEXT_FIELDS, required=False)
    speaker = _column(source, "speaker", options, columns, SPEAKER_FIELDS, required=False)
    name = _column(source, "id", options, columns, ("id",), required=False)
    limit = int(options["limit"]) if "limit" in options else None
    for number, row in enumerate(islice(rows, limit)):
        recording = row[audio] or {
            "bytes": b""
        }  # a row without one becomes an empty file, reported when its turn comes
        path = folder / "audio" / f"{number:07d}{Path(recording.get('path') or '').suffix or '.wav'}"
        path.write_bytes(_content(recording))
        yield Utterance(
            id=str(row[name]) if name else f"{number:07d}",
            audio_filepath=path,
            text=None if not text or row[text] is None else str(row[text]),
            speaker=None if not speaker or row[speaker] is None else str(row[speaker]),
        )


def _content(recording: dict[str, Any]) -> bytes:
    if recording.get("bytes") is not None:
        return bytes(recording["bytes"])
    import fsspec  # type: ignore[import-untyped]  # comes with datasets

    with fsspec.open(recording["path"], "rb") as file:  # a file here, on the hub or inside an archive
        return bytes(file.read())


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
    if "limit" in options and not (options["limit"].isdecimal() and int(options["limit"])):
        raise UsageError(f"{source}: limit is '{options['limit']}'. Give a whole number of utterances, 1 or more.")
    return name, options
