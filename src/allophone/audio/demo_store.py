"""The demo corpus on disk: sealed with its digest, put into place whole, replaced only when it is damaged."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from allophone.errors import CorpusError

__all__ = ["install", "sealed_sha256"]

_SEAL = "fingerprint.json"
_STAGE_PREFIX = ".allophone-demo-"
_STALE_S = 3600.0  # a staging folder this old belongs to a writer that was killed


def sealed_sha256(folder: Path, recipe: str) -> str | None:
    """Return the SHA-256 of the corpus in ``folder``, or None unless every byte is as the seal says.

    Args:
        folder: Where the corpus may lie.
        recipe: What the corpus must have been made by.
    """
    try:
        seal = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
        if seal["recipe"] != recipe:
            return None
        files = {name: (folder / name).read_bytes() for name in seal["files"]}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return seal["sha256"] if _digest(files) == seal["sha256"] else None


def _digest(files: Mapping[str, bytes]) -> str:
    # The digest of what `sha256sum` prints for the files in the order of their names.
    lines = (f"{sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    return sha256("".join(lines).encode()).hexdigest()


def install(make: Callable[[], Mapping[str, bytes]], folder: Path, recipe: str) -> str:
    """Make a corpus and put it into ``folder``, whole or not at all; return its SHA-256.

    Several processes may do so at once: the first to finish stays, the others drop theirs.

    Args:
        make: Returns the bytes of each file, by path relative to the folder.
        folder: Where to put it; missing, empty, or holding a corpus that this function put there.
        recipe: Name of what makes it; a corpus of another recipe is replaced.

    Raises:
        CorpusError: The folder cannot be written, or holds something else.
    """
    _refuse_strangers(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        tempfile.TemporaryFile(dir=folder.parent).close()  # refused now rather than after the work
    except OSError as error:
        raise _unwritable(folder, error) from None
    files = make()
    digest = _digest(files)
    try:
        with tempfile.TemporaryDirectory(prefix=_STAGE_PREFIX, dir=folder.parent) as stage:
            new, old = Path(stage, "new"), Path(stage, "old")
            seal = {"recipe": recipe, "sha256": digest, "files": sorted(files)}
            for name, data in {**files, _SEAL: json.dumps(seal, indent=1).encode()}.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).write_bytes(data)
            _rename(new, folder, old, recipe)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return digest


def _rename(new: Path, folder: Path, old: Path, recipe: str) -> None:
    if folder.exists() and sealed_sha256(folder, recipe) is None:
        _refuse_strangers(folder)
        with suppress(FileNotFoundError):  # another process may have moved it away first
            folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if sealed_sha256(folder, recipe) is None:
            raise  # not another process that was faster


def _refuse_strangers(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CorpusError(f"{folder}: is a file. Name a folder for the demo corpus.")
    names = {path.name for path in folder.iterdir()}
    if names and (_SEAL not in names or not names <= {_SEAL, "manifest.jsonl", "audio"}):
        raise CorpusError(f"{folder}: holds files that are no demo corpus. Name an empty or a new folder.")


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_STAGE_PREFIX}*"):
        if time.time() - path.stat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> CorpusError:
    return CorpusError(
        f"{folder}: cannot be written ({error.strerror or error}). Free space or rights there, or set ALLOPHONE_CACHE."
    )
