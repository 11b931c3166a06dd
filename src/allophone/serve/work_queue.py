"""A queue of windows from many requests: admission by predicted seconds, two classes, workers that never die."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Any

from allophone.errors import AllophoneError
from allophone.transcription.pipeline import choose_batch

__all__ = ["CancelledError", "Job", "Piece", "QueueState", "WorkQueue", "WorkRate"]

_MEMORY = 0.95  # of the rate: a piece counts half after 13 others


class CancelledError(AllophoneError):
    """The client of a piece of work went away."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What is run at once: a window, or a recording that a policy routes as a whole.

    Args:
        payload: What the runner reads.
        flops: Predicted executed FLOPs.
        frames: Log-mel frames that it runs on; pieces share a batch where these are near each other.
    """

    payload: Any
    flops: float
    frames: int = 1


class WorkRate:
    """Seconds per predicted FLOP, as measured on what ran, the latest counting most.

    Args:
        flops: Predicted for the first measurement.
        seconds: That it took.
    """

    def __init__(self, flops: float, seconds: float) -> None:
        self._flops, self._seconds = flops, seconds

    def observe(self, flops: float, seconds: float) -> None:
        """Count what ran."""
        self._flops = _MEMORY * self._flops + flops
        self._seconds = _MEMORY * self._seconds + seconds

    def seconds(self, flops: float) -> float:
        """Return the seconds that so much predicted work takes one worker."""
        return flops * self._seconds / self._flops


class Job:
    """One request's pieces, run in any order, their results taken in order.

    Args:
        asked: What all pieces ask for; the runner may read and change it.
        pieces: In order.
        bulk: Whether it gives way to interactive ones.
        first_alone: Whether the other pieces wait for the first one's result.
        notify: Called from a worker's thread after each result.
    """

    def __init__(
        self,
        asked: Any,
        pieces: Sequence[Piece],
        *,
        bulk: bool = False,
        first_alone: bool = False,
        notify: Callable[[], None] = lambda: None,
    ) -> None:
        self.asked, self.pieces, self.bulk, self.notify = asked, tuple(pieces), bulk, notify
        self.results: dict[int, Any] = {}
        self.error: Exception | None = None
        self.cancelled = False
        self.arrived = 0.0  # by the queue's clock
        self.started: float | None = None
        self._first_alone = first_alone
        self.waiting = deque(range(len(self.pieces)))
        self.running: set[int] = set()
        self.last_turn = 0.0

    @property
    def flops(self) -> float:
        """Predicted FLOPs of all pieces."""
        return sum(piece.flops for piece in self.pieces)

    @property
    def finished(self) -> bool:
        """Whether nothing of it will run any more."""
        return not self.waiting and not self.running

    def ready(self) -> int | None:
        """Return the piece that may run next; None where none may."""
        if not self.waiting or (self._first_alone and self.waiting[0] > 0 and 0 in self.running):
            return None
        return self.waiting[0]

    def check(self) -> None:
        """Raise where its client went away.

        Raises:
            CancelledError: It did.
        """
        if self.cancelled:
            raise CancelledError("the client went away.")


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits and runs.

    Args:
        waiting: Jobs of which nothing has run.
        running: Jobs of which something runs or ran, and that are not finished.
        queued_s: Predicted seconds until all of it is done.
        oldest_job_s: Age of the oldest job.
        oldest_pass_s: How long the oldest running piece has run.
    """

    waiting: int
    running: int
    queued_s: float
    oldest_job_s: float
    oldest_pass_s: float


class WorkQueue:
    """Runs pieces of jobs on threads: interactive jobs first, in the order they came, unless a bulk one waited long.

    Args:
        run: Runs a batch of (job's ``asked``, payload), and returns a result for each, in order. What it raises for a
            piece alone becomes that job's error.
        rate: What a predicted FLOP takes.
        workers: Threads.
        batch_size: Most pieces in a batch.
        max_bulk_age_s: A bulk job that has had no turn for so long goes first.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        run: Callable[[Sequence[tuple[Any, Any]]], Sequence[Any]],
        rate: WorkRate,
        *,
        workers: int = 1,
        batch_size: int = 1,
        max_bulk_age_s: float = 10.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._run, self.rate, self.workers, self._batch_size = run, rate, workers, batch_size
        self._max_bulk_age_s, self._clock = max_bulk_age_s, clock
        self._changed = Condition()
        self._jobs: list[Job] = []
        self._passes: dict[int, tuple[float, float]] = {}  # of each busy worker: since when, and predicted FLOPs
        self._closed = False
        self._last_done = clock()
        self._threads = [Thread(target=self._work, args=(worker,), daemon=True) for worker in range(workers)]
        for thread in self._threads:
            thread.start()

    def wait_s(self, *, bulk: bool) -> float:
        """Return the predicted seconds until a new job of a class would begin."""
        with self._changed:
            return self._wait_s(bulk=bulk)

    def put(self, job: Job, *, max_wait_s: float, done_within_s: float | None = None) -> float | None:
        """Take a job if it will begin, and end, soon enough.

        Args:
            job: New.
            max_wait_s: Most predicted seconds until it begins.
            done_within_s: Most predicted seconds until it is done.

        Returns:
            None where it was taken; else the seconds until there will be room for it.
        """
        with self._changed:
            wait_s = self._wait_s(bulk=job.bulk)
            late_s = wait_s - max_wait_s
            if done_within_s is not None:
                late_s = max(late_s, wait_s + self.job_s(job) - done_within_s)
            if late_s > 0:
                return late_s
            job.arrived = job.last_turn = self._clock()
            if job.pieces:
                self._jobs.append(job)
                self._changed.notify_all()
        return None

    def job_s(self, job: Job) -> float:
        """Return the predicted seconds of a job that has all workers, as far as its pieces can share them."""
        return self.rate.seconds(job.flops) / min(self.workers, max(1, len(job.pieces)))

    def cancel(self, job: Job) -> None:
        """Give a job up: what waits of it never runs, what runs of it is not told to anyone."""
        with self._changed:
            job.cancelled = True
            job.waiting.clear()
            if job in self._jobs:
                self._jobs.remove(job)

    def state(self) -> QueueState:
        """Return what waits and runs now."""
        with self._changed:
            now = self._clock()
            return QueueState(
                waiting=sum(job.started is None for job in self._jobs),
                running=sum(job.started is not None for job in self._jobs),
                queued_s=self._wait_s(bulk=True),
                oldest_job_s=max((now - job.arrived for job in self._jobs), default=0.0),
                oldest_pass_s=max((now - since for since, _ in self._passes.values()), default=0.0),
            )

    def idle_s(self) -> float:
        """Return the seconds since a piece ended."""
        with self._changed:
            return self._clock() - self._last_done

    def close(self, timeout_s: float = 10.0) -> None:
        """End the threads; pieces that run end by themselves, what waits never runs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _wait_s(self, *, bulk: bool) -> float:
        now = self._clock()
        ahead = [job for job in self._jobs if bulk or not job.bulk]
        queued = self.rate.seconds(sum(job.pieces[index].flops for job in ahead for index in job.waiting))
        left = sum(max(0.0, self.rate.seconds(flops) - (now - since)) for since, flops in self._passes.values())
        return (queued + left) / self.workers

    def _work(self, worker: int) -> None:
        while True:
            with self._changed:
                while not (batch := self._take_batch()):
                    if self._closed:
                        return
                    self._changed.wait()
                started, flops = self._clock(), sum(job.pieces[index].flops for job, index in batch)
                self._passes[worker] = (started, flops)
            found = self._run_batch(batch)
            with self._changed:
                del self._passes[worker]
                self._last_done = self._clock()
                if not any(isinstance(one, Exception) for one in found):
                    self.rate.observe(flops, self._clock() - started)
                for (job, index), one in zip(batch, found, strict=True):
                    self._hand_over(job, index, one)
                self._changed.notify_all()
            for job in {id(job): job for job, _ in batch}.values():
                with suppress(RuntimeError):  # the event loop of its client has ended
                    job.notify()

    def _take_batch(self) -> list[tuple[Job, int]]:
        if self._closed:
            return []
        now = self._clock()
        ready = [job for job in self._jobs if job.ready() is not None]
        if not ready:
            return []
        overdue = [job for job in ready if job.bulk and now - job.last_turn > self._max_bulk_age_s]
        first = min(overdue or [job for job in ready if not job.bulk] or ready, key=lambda job: job.arrived)
        batch = [(first, first.waiting[0])]
        if self._batch_size > 1:
            batch += [(job, index) for job in ready for index in self._open_pieces(job) if (job, index) != batch[0]]
            frames = [job.pieces[index].frames for job, index in batch]
            batch = [batch[place] for place in choose_batch(frames, self._batch_size)]
        for job, index in batch:
            job.waiting.remove(index)
            job.running.add(index)
            job.started = now if job.started is None else job.started
            job.last_turn = now
        return batch

    @staticmethod
    def _open_pieces(job: Job) -> list[int]:
        first = job.ready()
        return [] if first is None else [first] if first == 0 else list(job.waiting)

    def _run_batch(self, batch: Sequence[tuple[Job, int]]) -> Sequence[Any]:
        """Run a batch; of one that fails, each piece runs alone, and what fails again is that piece's result."""
        try:
            return self._run([(job.asked, job.pieces[index].payload) for job, index in batch])
        except Exception as error:
            return [error] if len(batch) == 1 else [self._run_batch([one])[0] for one in batch]

    def _hand_over(self, job: Job, index: int, found: Any) -> None:
        job.running.discard(index)
        if job.cancelled:
            return
        if isinstance(found, Exception):
            job.error = job.error or found
            job.waiting.clear()
        else:
            job.results[index] = found
        if job.finished and job in self._jobs:
            self._jobs.remove(job)
