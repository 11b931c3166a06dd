"""Resident memory of a process, and its peak between two moments."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

__all__ = ["PeakMemory", "resident_bytes"]

_PROCESS = Path("/proc/self")


def resident_bytes(field: str = "VmRSS", process: Path = _PROCESS) -> int | None:
    """Return a size from ``/proc/PID/status``: ``VmRSS`` is resident now, ``VmHWM`` its peak; None off Linux."""
    try:
        status = (process / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024  # the kernel counts in KiB
    return None


class PeakMemory:
    """Calls return the peak resident bytes since the call before, and start a new interval.

    Linux resets the peak (``VmHWM``) when 5 is written to ``/proc/self/clear_refs``; freed memory is handed back to the
    kernel first, so that one point's peak is not the next one's floor. Where that is impossible calls return the peak
    since the process began.
    """

    def __init__(self) -> None:
        self._clear_refs = _PROCESS / "clear_refs"
        self._resettable = True

    def __call__(self) -> int | None:
        """Return the peak of the interval that ends now, in bytes; None where the system tells nothing."""
        peak = resident_bytes("VmHWM") or _rusage_peak()
        _trim()()
        if self._resettable:
            try:
                self._clear_refs.write_text("5", encoding="ascii")
            except OSError:
                self._resettable = False
        return peak


def _rusage_peak() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes on macOS, KiB elsewhere


@lru_cache(maxsize=1)
def _trim() -> Callable[[], object]:
    try:
        trim = ctypes.CDLL(None).malloc_trim  # glibc
    except (OSError, AttributeError, TypeError):
        return lambda: None
    return lambda: trim(0)
