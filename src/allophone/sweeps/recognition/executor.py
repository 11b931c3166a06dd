"""Executors: the protocol that a sweep hands its tasks to, and local worker processes behind it."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import ModuleType
from typing import Any, Protocol

from allophone.errors import AllophoneError
from allophone.sweeps.recognition.worker import Ready, Settings, Task, TaskResult, failed_task, run_worker
from allophone.unicode_text import as_unicode

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
_MOST_WRITTEN_OFF = 3  # utterances in a row that workers die of


@dataclass(slots=True)
class _Worker:
    key: WeightsKey
    process: Any
    connection: Connection
    busy: bool = True  # until it says that it is ready
    task: Task | None = None  # what it measures
    again: Task | None = None  # what the process before it died of, to be measured first


class LocalExecutor:
    """Keeps one process per model and number format, and hands each one utterance at a time.

    With one worker busy at a time (the default) nothing competes with the model that is being timed, and models take
    turns utterance by utterance, so that a slow minute of the machine falls on all of them alike.

    A process that dies of an utterance is started again, and one that dies of it twice leaves rows with ``error``. They
    are handed on with the next result, so that a machine without room for the model does not write off its corpus.

    Args:
        settings: What all rows have in common.
        parallel: Workers that may be busy at once.

    Raises:
        AllophoneError: From :meth:`run`, whatever a worker failed with; that a worker died while it loaded its model,
            of three utterances with no other measured between them, or of all there are.
    """

    def __init__(self, settings: Settings, parallel: int = 1) -> None:
        self._settings = settings
        self._parallel = parallel
        self._workers: dict[WeightsKey, _Worker] = {}
        self._written_off: list[TaskResult] = []
        self._measured_any = False
        self._error: AllophoneError | None = None
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
            while (worker := self._workers.get(key)) is None or worker.busy:
                if worker is None:
                    self._start(key)
                yield from self._collect()
            while sum(other.busy for other in self._workers.values()) >= self._parallel:
                yield from self._collect()
            self._give(worker, task)
        while any(worker.busy for worker in self._workers.values()):
            yield from self._collect()
        yield from self._hand_on()

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

    def _give(self, worker: _Worker, task: Task) -> None:
        worker.task, worker.busy = task, True
        with suppress(BrokenPipeError, ConnectionResetError):  # it is dead, as collecting will find
            worker.connection.send(task)

    def _collect(self) -> Iterator[TaskResult]:
        busy = {worker.connection: worker for worker in self._workers.values() if worker.busy}
        for connection in wait(list(busy)):
            worker = busy[connection]  # type: ignore[index]
            try:
                message = worker.connection.recv()
            except (EOFError, ConnectionResetError):
                self._bury(worker)
                continue
            if isinstance(message, AllophoneError):
                raise message
            worker.busy, worker.task = False, None
            if not isinstance(message, Ready):
                self._measured_any = True
                yield from self._hand_on()
                yield message
                continue
            self.ready[worker.key] = message
            if worker.again is not None:
                self._give(worker, worker.again)

    def _bury(self, worker: _Worker) -> None:
        """Replace a worker that died; an utterance that two of them died of is written off."""
        error, task = self._died(worker), worker.task
        if task is None:
            raise error
        worker.connection.close()
        del self._workers[worker.key]
        if task is not worker.again:
            self._start(worker.key).again = task
            return
        reason = (
            f"{task.utterance.audio_filepath}: the process that measured it ended twice (exit code "
            f"{worker.process.exitcode}; -9 usually means out of memory)."
        )
        self._written_off.append(failed_task(task, self._settings, as_unicode(reason), 0.0))
        self._error = error
        if len(self._written_off) >= _MOST_WRITTEN_OFF:
            raise error

    def _hand_on(self) -> Iterator[TaskResult]:
        """Yield the rows that were written off, if the fault is the utterances' own: others are measured."""
        if self._written_off and not self._measured_any and self._error is not None:
            raise self._error
        yield from self._written_off
        self._written_off.clear()

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
