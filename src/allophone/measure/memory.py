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
    """The peak of resident memory within an interval, in which nothing must be timed.

    Linux resets the peak (``VmHWM``) when 5 is written to ``/proc/self/clear_refs``; freed memory is handed back to the
    kernel first, so that one point's peak is not the next one's floor. What runs next fetches its pages anew, which
    makes it up to a sixth slower. Where a reset is impossible the peak is that since the process began.
    """

    def __init__(self) -> None:
        self._clear_refs = _PROCESS / "clear_refs"
        self._resettable = True

    def start(self) -> None:
        """Begin an interval."""
        _trim()()
        if self._resettable:
            try:
                self._clear_refs.write_text("5", encoding="ascii")
            except OSError:
                self._resettable = False

    def peak(self) -> int | None:
        """Return the peak since the interval began, in bytes; None where the system tells nothing."""
        return resident_bytes("VmHWM") or _rusage_peak()


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
