"""Who measures tasks: the seam that a sweep hands them through, and local worker processes behind it."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Protocol

from allophone.errors import AllophoneError
from allophone.sweeps.worker import Ready, Settings, Task, TaskResult, run_worker

__all__ = ["Executor", "LocalExecutor", "MakeExecutor", "WeightsKey"]

WeightsKey = tuple[str, str]  # model, compute type


class Executor(Protocol):
    """Measures tasks wherever it likes; used within a ``with`` block, at whose end it lets everything go."""

    def run(self, tasks: Iterable[tuple[WeightsKey, Task]]) -> Iterator[TaskResult]:
        """Measure tasks, yielding one result a task in any order.

        Args:
            tasks: Taken one by one, not ahead of need.

        Raises:
            AllophoneError: A task could not be run. A recording that cannot be read is no such case: its rows say so.
        """
        ...


MakeExecutor = Callable[[Settings, int], AbstractContextManager[Executor]]  # from settings and parallel workers
_STOP_S = 5.0


@dataclass(slots=True)
class _Worker:
    key: WeightsKey
    process: Any
    connection: Connection
    busy: bool = True  # until it says that it is ready


class LocalExecutor:
    """Keeps one process per model and number format, and hands each one utterance at a time.

    With one worker busy at a time (the default) nothing competes with the model that is being timed, and models take
    turns utterance by utterance, so that a slow minute of the machine falls on all of them alike.

    Args:
        settings: What all rows have in common.
        parallel: Workers that may be busy at once.

    Raises:
        AllophoneError: From :meth:`run`, whatever a worker failed with, or that a worker died.
    """

    def __init__(self, settings: Settings, parallel: int = 1) -> None:
        self._settings = settings
        self._parallel = parallel
        self._workers: dict[WeightsKey, _Worker] = {}
        self.ready: dict[WeightsKey, Ready] = {}

    def __enter__(self) -> LocalExecutor:
        """Return the executor itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all workers."""
        self.stop()

    def run(self, tasks: Iterable[tuple[WeightsKey, Task]]) -> Iterator[TaskResult]:
        """Measure tasks, yielding results as they come; a model's process starts with its first task."""
        for key, task in tasks:
            worker = self._workers.get(key)
            if worker is None:
                worker = self._start(key)
                yield from self._collect_until(worker)
            yield from self._collect_until(worker)
            while sum(other.busy for other in self._workers.values()) >= self._parallel:
                yield from self._collect()
            try:
                worker.connection.send(task)
            except (BrokenPipeError, ConnectionResetError):
                raise self._died(worker) from None
            worker.busy = True
        while any(worker.busy for worker in self._workers.values()):
            yield from self._collect()

    def stop(self) -> None:
        """End all workers; those that do not end by themselves are killed."""
        for worker in self._workers.values():
            worker.connection.close()
        for worker in self._workers.values():
            if worker.busy:
                worker.process.terminate()
            worker.process.join(_STOP_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()

    def _start(self, key: WeightsKey) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a forked engine would inherit locked threads
        ours, theirs = context.Pipe()
        process = context.Process(target=run_worker, args=(theirs, *key, self._settings), daemon=True)
        with _main_module_hidden():
            process.start()
        theirs.close()
        worker = _Worker(key, process, ours)
        self._workers[key] = worker
        return worker

    def _collect_until(self, worker: _Worker) -> Iterator[TaskResult]:
        while worker.busy:
            yield from self._collect()

    def _collect(self) -> Iterator[TaskResult]:
        busy = {worker.connection: worker for worker in self._workers.values() if worker.busy}
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]
            try:
                message = worker.connection.recv()
            except (EOFError, ConnectionResetError):
                raise self._died(worker) from None
            if isinstance(message, AllophoneError):
                raise message
            worker.busy = False
            if isinstance(message, Ready):
                self.ready[worker.key] = message
            else:
                yield message

    def _died(self, worker: _Worker) -> AllophoneError:
        worker.process.join(_STOP_S)
        model, compute_type = worker.key
        return AllophoneError(
            f"the worker for {model} in {compute_type} ended unexpectedly (exit code {worker.process.exitcode}; "
            "-9 usually means out of memory). What is measured is kept; the same command continues."
        )


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep a spawned worker from importing the caller's script, so that scripts need no ``__main__`` guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
