"""Peak memory of a point: which recordings it is watched on, in a pass of its own that is not timed.

Watching means to hand freed memory back to the kernel first, and a pass that then has to fetch its pages anew takes up
to a sixth longer (:mod:`allophone.measure.memory`). A peak is that of the longest recording, so only those that are
longer than all before are watched: a handful of a corpus in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from allophone.measure.memory import PeakMemory

__all__ = ["PeakWatch"]

_LONGER = 1.05  # activations grow with the square of the length at most: a tenth of what a recording adds


class PeakWatch:
    """The peaks of one process, by name of what ran."""

    def __init__(self) -> None:
        self._memory = PeakMemory()
        self._longest: dict[str, int] = {}

    def peaks(self, n_samples: int, runs: Mapping[str, Callable[[], object]]) -> dict[str, int]:
        """Run what is due and return its peaks in bytes; of what is not, or where the system tells none, nothing.

        Args:
            n_samples: Length of the recording.
            runs: How to run each on it.
        """
        found: dict[str, int] = {}
        for name, run in runs.items():
            if n_samples < _LONGER * self._longest.get(name, 0):
                continue
            self._longest[name] = n_samples
            self._memory.start()
            run()
            if (peak := self._memory.peak()) is not None:
                found[name] = peak
        if found:  # leave the heap as large as the largest has it, so that what is timed next finds its pages
            runs[max(found, key=lambda name: found[name])]()
        return found
