"""From an upload to a transcript: admission, decoding on threads of its own, the queue, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any, BinaryIO

from allophone.audio.decode import decode_audio
from allophone.audio.faults import as_audio_error
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError, AudioTooLongError, UsageError
from allophone.models.engine import DecoderPrompt
from allophone.records.transcript import Transcript
from allophone.serve.api_error import ApiError, bad_request, draining, inference_failed, no_room, too_large
from allophone.serve.cost import RequestCost
from allophone.serve.fields import AskedFor
from allophone.serve.form import HeldBytes
from allophone.serve.metrics import ServeMetrics
from allophone.serve.request import Work
from allophone.serve.served import Served
from allophone.serve.settings import ServeSettings
from allophone.serve.work_queue import Job, WorkQueue
from allophone.transcription.recording import AUTO_LANGUAGE, known_language

__all__ = ["Accepted", "Service", "read_timeout"]

_DECODERS = 2  # uploads decoded at once; each holds its samples
_FRESH_S = 10.0  # a pass that ended so lately shows that the workers work
_PROBE_S = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A request that is in the queue.

    Args:
        work: What it is.
        job: Its pieces.
        changed: Set when a piece has ended.
    """

    work: Work
    job: Job
    changed: asyncio.Event


class Service:
    """What all requests share: the loaded point or policy, the queue, the limits, the counters.

    Args:
        served: Loaded.
        settings: Limits.
    """

    def __init__(self, served: Served, settings: ServeSettings) -> None:
        self.served, self.settings = served, settings
        self.queue = WorkQueue(
            served.run,
            served.measure_rate(),
            workers=served.workers,
            batch_size=served.batch_size,
            max_bulk_age_s=settings.max_bulk_age_s,
        )
        self.metrics = ServeMetrics(self.queue, (served.name,))
        self.open_requests = 0
        self.held = HeldBytes(max(settings.max_held_bytes, settings.max_upload_bytes))
        self.draining = False
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")

    def refuse_early(self) -> None:
        """Refuse, before a byte of its body is read, what could not be taken anyway.

        Raises:
            ApiError: 503 while draining; 429 where too many requests are open or too much work waits.
        """
        if self.draining:
            raise draining()
        if self.open_requests > self.settings.max_open_requests:
            raise no_room(f"{self.settings.max_open_requests} requests are open, the most that are.", 1.0)
        late_s = self.queue.wait_s(bulk=False) - self.settings.max_queue_s
        if late_s > 0:
            raise self._no_room(late_s)

    def check_model(self, asked: AskedFor) -> float | None:
        """Return the threshold that the model's name asks for.

        Raises:
            ApiError: 404 where no such model is served.
        """
        try:
            return self.served.threshold_of(asked.model)
        except LookupError:
            raise ApiError(
                404,
                f"no model '{asked.model[:80]}' is served here. There are {self.served.name} and its alias whisper-1.",
                param="model",
                code="model_not_found",
            ) from None

    async def accept(
        self, file: BinaryIO, asked: AskedFor, *, priority: str | None, timeout_s: float | None
    ) -> Accepted:
        """Decode an upload and put it into the queue.

        Args:
            file: The upload's bytes.
            asked: The form's fields.
            priority: ``interactive`` or ``bulk``; None lets the length decide.
            timeout_s: Seconds after which the client gives up; None where it does not say, or reads a stream.

        Raises:
            ApiError: 400 where it is no audio, 404 for an unknown model, 413 where it is too long, 429 where there is
                no room.
        """
        threshold = self.check_model(asked)
        language = asked.language or self.served.language
        if asked.language not in (None, "en") and not self.served.multilingual:
            raise bad_request("language", f"language '{asked.language}': the model that is served knows English only.")
        prompt = DecoderPrompt(asked.task, asked.prompt)
        try:
            self.served.check_prompt(prompt)
        except UsageError as error:
            field = "prompt" if asked.task == "transcribe" else "model"
            raise bad_request(field, str(error), "unsupported_parameter") from None
        if priority not in (None, "interactive", "bulk"):
            raise bad_request("x-allophone-priority", "x-allophone-priority: write interactive or bulk.")
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        work, pieces = await loop.run_in_executor(
            self._decoders, self._prepare, file, language, asked.words, threshold, prompt
        )
        interactive = work.samples.size <= self.settings.interactive_s * SAMPLE_RATE
        job = Job(
            work,
            pieces,
            bulk=priority == "bulk" if priority else not interactive,
            first_alone=language == AUTO_LANGUAGE,
            notify=lambda: _set_soon(loop, changed),
        )
        work.check = job.check
        if timeout_s is not None and (own_s := self.queue.job_s(job)) > timeout_s:
            raise too_large(
                f"this recording takes about {own_s:.0f} s and the client reads for {timeout_s:g} s. Set stream=true, "
                "send parts, or raise the client's timeout.",
                "too_long_for_timeout",
            )
        late_s = self.queue.put(job, max_wait_s=self.settings.max_queue_s, done_within_s=timeout_s)
        if late_s is not None:
            raise self._no_room(late_s)
        return Accepted(work, job, changed)

    async def results(self, accepted: Accepted, pulse_s: float | None = None) -> AsyncIterator[Any]:
        """Yield the results of all pieces in order, and None whenever nothing came for ``pulse_s`` seconds.

        Raises:
            ApiError: A piece failed: 400 where the model does not know the language, else 500.
        """
        job = accepted.job
        for number in range(len(job.pieces)):
            while number not in job.results and job.error is None:
                try:
                    await asyncio.wait_for(accepted.changed.wait(), pulse_s)
                    accepted.changed.clear()
                except asyncio.TimeoutError:
                    yield None
            if isinstance(job.error, UsageError):
                raise bad_request("language", str(job.error))
            if job.error is not None:
                self.metrics.dropped.inc(accepted.work.samples.size / SAMPLE_RATE)
                raise inference_failed(f"the recording could not be transcribed: {job.error}")
            yield job.results.pop(number)

    def finish(self, accepted: Accepted, results: list[Any]) -> tuple[Transcript, RequestCost]:
        """Return the transcript and its cost, and count both."""
        transcript, cost = self.served.finish(accepted.work, accepted.job, results)
        self.metrics.count_transcript(transcript, cost)
        return transcript, cost

    async def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Return whether work that comes now would be done, tried where nothing shows it, and what waits."""
        state = self.queue.state()
        status = "draining" if self.draining else "ready"
        idle = not state.running and self.queue.idle_s() > _FRESH_S
        stuck = state.oldest_pass_s > self.settings.stuck_s
        if stuck or (idle and not self.draining and not await self._probe()):
            status = "stuck"
        shown = {
            "status": status,
            "model": self.served.name,
            "waiting": state.waiting,
            "running": state.running,
            "queued_work_s": round(state.queued_s, 3),
            "oldest_job_s": round(state.oldest_job_s, 3),
            "oldest_pass_s": round(state.oldest_pass_s, 3),
        }
        return status == "ready", shown

    def status(self) -> dict[str, Any]:
        """Return what the page shows: what waits, and sums since the start."""
        state, total = self.queue.state(), self.metrics.total
        return {
            "model": self.served.name,
            "title": self.served.describe()["title"],
            "draining": self.draining,
            "open": self.open_requests,
            "waiting": state.waiting,
            "running": state.running,
            "queued_work_s": round(state.queued_s, 3),
            "transcripts": self.metrics.transcripts,
            "audio_s": round(total("allophone_audio_seconds_total"), 3),
            "gflops": round(total("allophone_executed_gflops_total"), 3),
            "reference_gflops": round(total("allophone_reference_gflops_total"), 3),
        }

    def close(self) -> None:
        """End the threads."""
        self.queue.close()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _probe(self) -> bool:
        """Send half a second of silence through the queue and the model."""
        import numpy as np

        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        language = known_language(self.served.language)
        work = Work(np.zeros(8000, np.float32), (), language, False)
        job = Job(work, self.served.plan(work), notify=lambda: _set_soon(loop, changed))
        self.queue.put(job, max_wait_s=float("inf"))
        try:
            await asyncio.wait_for(changed.wait(), _PROBE_S)
        except asyncio.TimeoutError:
            self.queue.cancel(job)
            return False
        return job.error is None

    def _prepare(
        self, file: BinaryIO, language: str, words: bool, threshold: float | None, prompt: DecoderPrompt
    ) -> tuple[Work, list[Any]]:
        """Decode and cut; runs on a decoder's thread."""
        started = perf_counter()
        try:
            decoded = decode_audio(file, longest_s=self.settings.max_audio_s)
            with as_audio_error(decoded.name):
                work = Work(decoded.samples, decoded.notices, language, words, threshold, prompt)
                work.decode_audio_s = perf_counter() - started
                return work, self.served.plan(work)
        except AudioTooLongError:
            raise too_large(
                f"the recording lasts over {self.settings.max_audio_s:g} s, the most that is taken here. Send parts.",
                "audio_too_long",
            ) from None
        except AudioError as error:
            raise bad_request("file", str(error), "unreadable_audio") from None

    def _no_room(self, late_s: float) -> ApiError:
        waiting = self.queue.wait_s(bulk=True)
        return no_room(
            f"{waiting:.0f} s of work wait, and at most {self.settings.max_queue_s:g} s may. Come again.", late_s
        )


def _set_soon(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


def read_timeout(header: str | None) -> float | None:
    """Return the seconds that OpenAI's client says it reads for; None where it says none, or something else."""
    try:
        found = float(header or "")
    except ValueError:
        return None
    return found if 0 < found < float("inf") else None
