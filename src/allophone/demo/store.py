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
from allophone.files import load_json

__all__ = ["install", "sealed_sha256"]

_SEAL = "fingerprint.json"
_STAGE_PREFIX = ".allophone-demo-"
_ATTEMPTS = 100
_STALE_S = 3600.0  # a staging folder this old belongs to a writer that was killed


def sealed_sha256(folder: Path, recipe: str) -> str | None:
    """Return the SHA-256 of the corpus in ``folder``, or None unless every byte is as the seal says.

    Args:
        folder: Where the corpus may lie.
        recipe: What the corpus must have been made by.
    """
    try:
        seal = load_json(folder / _SEAL)
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
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"{folder}: is a file. Name a folder for the demo corpus.")
    try:
        if _is_strange(folder) and _is_strange(folder):  # twice: another process may be taking a damaged one apart
            raise _stranger(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        tempfile.TemporaryFile(dir=folder.parent).close()  # refused now rather than after the work
    except OSError as error:
        raise _unwritable(folder, error) from None
    files = make()
    digest = _digest(files)
    try:
        with tempfile.TemporaryDirectory(prefix=_STAGE_PREFIX, dir=folder.parent) as stage:
            new = Path(stage, "new")
            seal = {"recipe": recipe, "sha256": digest, "files": sorted(files)}
            for name, data in {**files, _SEAL: json.dumps(seal, indent=1).encode()}.items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                (new / name).write_bytes(data)
            _put(new, folder, Path(stage), recipe)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return digest


def _put(new: Path, folder: Path, stage: Path, recipe: str) -> None:
    """Rename ``new`` to ``folder`` unless a whole corpus is there; what else is there goes to ``stage``."""
    for attempt in range(_ATTEMPTS):  # another process may put or take a corpus between any two lines
        if sealed_sha256(folder, recipe) is not None:
            return
        try:
            new.rename(folder)
            return
        except OSError as error:
            reason = error
        old = stage / f"old-{attempt}"
        with suppress(FileNotFoundError):
            folder.rename(old)
            if _is_strange(old):
                old.rename(folder)
                raise _stranger(folder)
    raise reason


def _is_strange(folder: Path) -> bool:
    try:
        names = {path.name for path in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return False
    return bool(names) and (_SEAL not in names or not names <= {_SEAL, "manifest.jsonl", "audio"})


def _stranger(folder: Path) -> CorpusError:
    return CorpusError(f"{folder}: holds files that are no demo corpus. Name an empty or a new folder.")


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_STAGE_PREFIX}*"):
        with suppress(FileNotFoundError):  # its writer may just have finished
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> CorpusError:
    return CorpusError(
        f"{folder}: cannot be written ({error.strerror or error}). Free space or rights there, or set ALLOPHONE_CACHE."
    )
