"""Batched pipeline: many recordings through one operating point, windows in batches over replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from math import log
from threading import Event
from typing import Any

from allophone.audio.decode import DecodedAudio
from allophone.audio.faults import as_audio_error
from allophone.audio.mel import context_frames
from allophone.errors import AudioError
from allophone.models.engine import TRANSCRIBE, DecoderPrompt, Engine
from allophone.models.stopwatch import Lap, Stopwatch
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Transcript
from allophone.transcription.fallback import decode_with_fallback
from allophone.transcription.recording import AUTO_LANGUAGE, add_detection_time, cut_windows, join_segments
from allophone.transcription.windows import DecodeExtras, Window, encode_windows

__all__ = ["LARGEST_PADDING", "PassedWindow", "choose_batch", "pass_windows", "transcribe_stream"]

_AHEAD = 4  # batches' worth of windows and recordings, for each job, between what was read and what was given back


@dataclass(slots=True)
class _Recording:
    """One recording on its way; ``language`` is ``auto`` until its first window has told it."""

    name: str
    notices: tuple[str, ...]
    n_samples: int
    prepare_s: float
    language: str
    windows: list[Window]
    segments: dict[int, list[Segment]]


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A window that waits or runs; ``name`` and ``language`` are its recording's."""

    recording: int
    number: int
    window: Window
    frames: int
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class PassedWindow:
    """What a window became: its segments, the language that its prompt named, and the seconds of its log-mel."""

    segments: list[Segment]
    language: str
    prepare_s: float


def pass_windows(
    engine: Engine,
    point: OperatingPoint,
    windows: Sequence[Window],
    languages: Sequence[str],
    frames: int,
    extras: DecodeExtras,
) -> list[PassedWindow]:
    """Run windows of any recordings together through encoder and decoder, guard and fallback included.

    Args:
        engine: A loaded model.
        point: What to run.
        windows: One or more; none longer than the frames.
        languages: Each window's language code, or ``auto`` to tell it from the window.
        frames: Log-mel frames that all of them run on.
        extras: What is asked beside the text.
    """
    encoded = encode_windows(engine, windows, frames)
    named, detected = [], []
    for row, language in enumerate(languages):
        watch = Stopwatch()
        asked = language == AUTO_LANGUAGE
        named.append(engine.detect_language(engine.row(encoded.output, row)) if asked else language)
        detected.append(watch.lap())
    found = decode_with_fallback(engine, windows, encoded, point, named, extras)
    return [
        PassedWindow(add_detection_time(parts, lap), language, encoded.prepare_s)
        for parts, lap, language in zip(found, detected, named, strict=True)
    ]


def transcribe_stream(
    engine: Engine,
    recordings: Iterable[Callable[[], DecodedAudio]],
    point: OperatingPoint,
    *,
    language: str = "en",
    words: bool = False,
    jobs: int = 1,
    batch_size: int = 1,
    prompt: DecoderPrompt = TRANSCRIBE,
) -> Iterator[Transcript | AudioError]:
    """Transcribe recordings, several windows at a time, and give the transcripts back in order.

    Windows of one recording and of different ones share batches. A recording is read when there is room: at most
    ``4 * jobs * batch_size`` are between reading and giving back, and no more are read while as many windows wait.
    Transcripts equal those of :func:`allophone.transcription.recording.transcribe_points`, but that a window may run on
    up to a quarter more frames in a batch; its segment states the frames that ran, and its share of the batch's time.

    Args:
        engine: A loaded model.
        recordings: Each returns a recording's samples, or raises what keeps it from being read.
        point: What to run.
        language: Language code of the prompt, or ``auto`` to tell it from each recording's first window.
        words: Whether to find each word's place in time.
        jobs: Threads that run batches; as many more read recordings.
        batch_size: Most windows in a batch.
        prompt: What the decoder is told before each window.

    Yields:
        A transcript, or what kept the recording from being read or transcribed; the others are not touched.

    Raises:
        UsageError: The model does not know the language.
    """
    stream = _Stream(engine, point, language, DecodeExtras(words=words, prompt=prompt), batch_size)
    source = enumerate(recordings)
    ahead = _AHEAD * jobs * batch_size
    given, taken, more = 0, 0, True
    readers, runners = ThreadPoolExecutor(jobs), ThreadPoolExecutor(jobs)
    extras: dict[Future[_Recording | AudioError], int] = {}
    running: dict[Future[list[PassedWindow | AudioError]], list[_Place]] = {}
    try:
        while True:
            while more and len(extras) < jobs and len(stream.waiting) < ahead and taken - given < ahead:
                if more := (item := next(source, None)) is not None:
                    extras[readers.submit(stream.read, item[1])] = taken
                    taken += 1
            while len(running) < jobs and (batch := stream.next_batch(wait_for_more=bool(extras))):
                running[runners.submit(stream.run, batch)] = batch
            if not extras and not running:
                return
            pending: set[Future[Any]] = {*extras, *running}
            wait(pending, return_when=FIRST_COMPLETED)
            for read in [future for future in extras if future.done()]:
                stream.take_recording(extras.pop(read), read.result())
            for ran in [future for future in running if future.done()]:
                stream.take_passed(running.pop(ran), ran.result())
            while given in stream.finished:
                yield stream.finished.pop(given)
                given += 1
    finally:  # also where the caller stops early or presses Ctrl-C: what runs ends by itself
        stream.stopped.set()
        for pool in (readers, runners):
            pool.shutdown(wait=False, cancel_futures=True)


class _Stream:
    """What waits, runs and is finished; only the caller's thread changes it."""

    def __init__(
        self, engine: Engine, point: OperatingPoint, language: str, extras: DecodeExtras, batch_size: int
    ) -> None:
        self.engine, self.point, self.language = engine, point, language
        self.extras, self.batch_size = extras, batch_size
        self.waiting: list[_Place] = []
        self.finished: dict[int, Transcript | AudioError] = {}
        self.stopped = Event()
        self._open: dict[int, _Recording] = {}

    def read(self, load: Callable[[], DecodedAudio]) -> _Recording | AudioError:
        """Decode a recording and cut it into windows; runs in a reader's thread."""
        try:
            with as_audio_error("a recording"):
                decoded = load()
            with as_audio_error(decoded.name):
                samples = decoded.samples
                windows, cut = ([], Lap(0.0, 0.0)) if self.stopped.is_set() else cut_windows(samples, self.point)
        except AudioError as error:
            return error
        return _Recording(decoded.name, decoded.notices, samples.size, cut.wall_s, self.language, windows, {})

    def take_recording(self, index: int, recording: _Recording | AudioError) -> None:
        """Let a recording's windows wait, in the order of the recordings."""
        if isinstance(recording, AudioError):
            self.finished[index] = recording
            return
        self._open[index] = recording
        for number, window in enumerate(recording.windows):
            frames = context_frames(window.audio.size, self.point)
            self.waiting.append(_Place(index, number, window, frames, recording.name, recording.language))
        self.waiting.sort(key=lambda place: (place.recording, place.number))
        self._finish(index)

    def next_batch(self, *, wait_for_more: bool) -> list[_Place]:
        """Take a batch from the windows that wait; none where there is none, or where more will make it fuller."""
        ready = [
            index
            for index in self.waiting
            if index.number == 0 or self._open[index.recording].language != AUTO_LANGUAGE
        ]
        enough = 2 * self.batch_size if wait_for_more and self.batch_size > 1 else 1
        if len(ready) < enough:
            return []
        batch = [ready[index] for index in choose_batch([index.frames for index in ready], self.batch_size)]
        self.waiting = [index for index in self.waiting if index not in batch]
        return [replace(index, language=self._open[index.recording].language) for index in batch]

    def run(self, batch: list[_Place]) -> list[PassedWindow | AudioError]:
        """Encode and decode a batch; runs in a runner's thread. Of one that fails, each window runs alone."""
        try:
            with as_audio_error(batch[0].name):
                return list(
                    pass_windows(
                        self.engine,
                        self.point,
                        [index.window for index in batch],
                        [index.language for index in batch],
                        max(index.frames for index in batch),
                        self.extras,
                    )
                )
        except AudioError as error:
            return [error] if len(batch) == 1 else [one for index in batch for one in self.run([index])]

    def take_passed(self, batch: list[_Place], passed: list[PassedWindow | AudioError]) -> None:
        """Hand the segments of a batch to their recordings; a recording of which a window failed has failed."""
        for index, found in zip(batch, passed, strict=True):
            recording = self._open.get(index.recording)
            if recording is None:  # another of its windows has failed
                continue
            if isinstance(found, AudioError):
                self.finished[index.recording] = found
                self.waiting = [other for other in self.waiting if other.recording != index.recording]
                del self._open[index.recording]
                continue
            recording.segments[index.number] = found.segments
            recording.language = found.language
            recording.prepare_s += found.prepare_s
            self._finish(index.recording)

    def _finish(self, index: int) -> None:
        recording = self._open[index]
        if len(recording.segments) == len(recording.windows):
            parts = [part for _, parts in sorted(recording.segments.items()) for part in parts]
            joined = join_segments(
                self.engine,
                self.point,
                parts,
                recording.n_samples,
                recording.prepare_s,
                recording.language,
                prompt=self.extras.prompt,
            )
            self.finished[index] = replace(joined, notices=recording.notices)
            del self._open[index]


LARGEST_PADDING = 1.25  # frames of a batch over the frames that its shortest window asks for


def choose_batch(frames: Sequence[int], size: int) -> list[int]:
    """Choose a batch that holds the window waiting longest, and those nearest to it in length.

    All windows of a batch run on the frames of its longest. That is at most 1.25 times what its shortest asks for.

    Args:
        frames: Frames that each waiting window asks for, the one waiting longest first.
        size: Most windows of a batch.

    Returns:
        Places in ``frames``, in order; the first is 0.

    Raises:
        ValueError: No window waits, or the size is less than 1.
    """
    if not frames or size < 1:
        raise ValueError(f"{len(frames)} windows waiting, batches of {size}")
    low = high = frames[0]
    chosen: list[int] = []
    for index in sorted(range(len(frames)), key=lambda index: (abs(log(frames[index] / frames[0])), index)):
        lower, higher = min(low, frames[index]), max(high, frames[index])
        if len(chosen) < size and higher <= LARGEST_PADDING * lower:
            low, high = lower, higher
            chosen.append(index)
    return sorted(chosen)
