"""Waiting for an idle machine, so that times measured on it are true."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from allophone.errors import AllophoneError, UsageError

__all__ = ["IDLE_LOAD", "load_average", "wait_for_idle"]

IDLE_LOAD = 0.5  # threads of others that ran or waited; what a sweep's notice of other work allows too
_LOOK_EVERY_S = 2.0


def load_average() -> float | None:
    """Return how many threads of the whole system ran or waited for a processor, mean of the last minute or so."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def wait_for_idle(
    minutes: float,
    waiting: Callable[[float], None],
    *,
    load: Callable[[], float | None] = load_average,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return when the system's load average is 0.5 or less; it follows what runs within a minute or two.

    Args:
        minutes: Longest wait.
        waiting: Called with the seconds waited so far, now and then, where it is not idle at once.
        load: The load average.
        clock: Seconds that only go forward.
        pause: Sleeps so many seconds.

    Raises:
        UsageError: No time to wait, or a system that does not tell its load.
        AllophoneError: It was never idle.
    """
    if not minutes > 0:
        raise UsageError(f"--wait-for-idle {minutes:g}: give the longest wait in minutes, above 0.")
    started = clock()
    while True:
        now = load()
        if now is None:
            raise UsageError("--wait-for-idle: this system does not tell its load. Leave it out.")
        if now <= IDLE_LOAD:
            return
        waited = clock() - started
        if waited >= 60 * minutes:
            raise AllophoneError(
                f"the machine was not idle for {minutes:g} minutes (load {now:.1f}, wanted {IDLE_LOAD:g} or less), so "
                "nothing more was measured. End the other work, wait longer, or measure without --wait-for-idle."
            )
        waiting(waited)
        pause(_LOOK_EVERY_S)
