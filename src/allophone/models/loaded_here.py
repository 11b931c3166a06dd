"""Fork check of loaded models: a forked child has the memory, not the threads, and would wait for ever."""

from __future__ import annotations

import os

from allophone.errors import UsageError

__all__ = ["LoadedHere"]


class LoadedHere:
    """Remembers the process that a model was loaded in."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def check(self) -> None:
        """Refuse to run in a forked child.

        Raises:
            UsageError: This is another process.
        """
        if os.getpid() != self._pid:
            raise UsageError(
                "the model was loaded before this process was forked, and its threads stayed behind. Load it in the "
                "child, or start processes with the method 'spawn' (multiprocessing.get_context('spawn'))."
            )
