"""Wall time and processor time of a timed phase, taken together."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import NamedTuple

__all__ = ["Lap", "Stopwatch"]


class Lap(NamedTuple):
    """What a phase took.

    Args:
        wall_s: Seconds that passed.
        cpu_s: Processor seconds of all threads of this process meanwhile; other processes do not enter it.
    """

    wall_s: float
    cpu_s: float


@dataclass(slots=True)
class Stopwatch:
    """Runs from the moment it is made."""

    _wall: float = field(default_factory=perf_counter)
    _cpu: float = field(default_factory=process_time)

    def lap(self) -> Lap:
        """Return what passed since it was made, or since the lap before."""
        wall, cpu = perf_counter(), process_time()
        lap = Lap(wall - self._wall, cpu - self._cpu)
        self._wall, self._cpu = wall, cpu
        return lap
