"""Eviction of cached states: leftovers of killed processes go, then what was not used for longest.

Every folder of states carries the time of its last use as that of its ``index.json``. Folders used within the last hour
stay, whatever the limit: another training may be filling them. On Linux and macOS a file that is removed while it is
open remains readable to who opened it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from time import time

from allophone.errors import UsageError

__all__ = ["DEFAULT_LIMIT_GB", "LIMIT_VARIABLE", "evict", "mark_used"]

LIMIT_VARIABLE = "ALLOPHONE_STATES_GB"
DEFAULT_LIMIT_GB = 30.0
_IN_USE_S = 3600.0
_GB = 1e9


def mark_used(folder: Path) -> None:
    """Note that a folder of states is used now."""
    with suppress(OSError):  # a cache that may only be read is as good
        os.utime(folder / "index.json")


def evict(folder: Path, n_bytes: int) -> None:
    """See that ``n_bytes`` more fit into a folder of states, within the limit of all caches and on the disk.

    Args:
        folder: Where they will be written; the folders beside it are the other caches.
        n_bytes: Their size.

    Raises:
        UsageError: The disk has no room, or the limit in the environment is not a positive number.
    """
    limit = _limit_gb() * _GB
    sizes = {}
    for path in (path for path in folder.parent.iterdir() if path.is_dir()):
        _remove_orphans(path)
        sizes[path] = _size(path)
    idle = [path for path in sizes if path != folder and time() - _last_use(path) > _IN_USE_S]
    for path in sorted(idle, key=_last_use):
        if sum(sizes.values()) + n_bytes <= limit and n_bytes <= shutil.disk_usage(folder).free:
            break
        shutil.rmtree(path, ignore_errors=True)
        sizes.pop(path)
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise UsageError(
            f"{folder}: cached states need {n_bytes / _GB:.1f} GB and {free / _GB:.1f} GB are free. Set "
            "ALLOPHONE_CACHE to a folder with room, or train without the cache."
        )


def _limit_gb() -> float:
    text = os.environ.get(LIMIT_VARIABLE, "")
    if not text:
        return DEFAULT_LIMIT_GB
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise UsageError(f"{LIMIT_VARIABLE}={text}: give the gigabytes that cached states may take, a positive number.")
    return limit


def _remove_orphans(folder: Path) -> None:
    """Remove partly written files that nobody writes to any more; their names end with a process's number."""
    for path in folder.iterdir():
        if path.name.rpartition(".")[2].isdigit() and time() - _changed(path) > _IN_USE_S:
            path.unlink(missing_ok=True)


def _last_use(folder: Path) -> float:
    return _changed(folder / "index.json") or _changed(folder)


def _changed(path: Path) -> float:
    """When a file was changed; 0 where another process has removed it meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        with suppress(OSError):
            total += path.stat().st_size
    return total
