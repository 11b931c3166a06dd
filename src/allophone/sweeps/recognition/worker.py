"""A worker process: one loaded model, one utterance after another."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from allophone.audio.decode import LONGEST_S
from allophone.audio.faults import as_audio_error
from allophone.audio.snr import estimate_snr_db
from allophone.audio.utterance_audio import decode_utterance
from allophone.costs.published import published_recognition_flops
from allophone.costs.transcript import transcript_flops
from allophone.errors import AllophoneError, AudioError
from allophone.measure.device import MeasuredDevice
from allophone.measure.memory import resident_bytes
from allophone.measure.wer import Normalizer, count_character_errors, count_word_errors
from allophone.models.engine import Engine, load_engine
from allophone.models.threads import choose_threads
from allophone.records.measurement import Measurement
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Transcript
from allophone.records.utterance import Utterance
from allophone.sweeps.idle import load_average
from allophone.sweeps.recognition.peak_watch import PeakWatch
from allophone.sweeps.recognition.roofline import least_latency_s, roofline_device
from allophone.sweeps.recognition.turns import in_turn
from allophone.transcription.recording import known_language, transcribe_points

__all__ = ["Ready", "Settings", "Task", "TaskResult", "failed_task", "run_worker"]

TWIN = "twin"  # tells the second run of a point from the first


@dataclass(frozen=True, slots=True)
class Settings:
    """What all rows of a run have in common; the names are those of ``RecognitionRunRecord``.

    ``rates`` are this machine's, by the number of threads; ``workers`` may be busy at once. ``max_audio_s`` is the most
    that is read of a recording.
    """

    normalizer: Normalizer = "english"
    language: str = "en"
    relative_to: str | None = None
    device: str = "cpu"
    threads: int = 0
    rates: Mapping[int, MeasuredDevice] | None = None
    seed: int = 0
    workers: int = 1
    max_audio_s: float = LONGEST_S


@dataclass(frozen=True, slots=True)
class Task:
    """One utterance at some points of one model; at ``twin`` once more, as if that were another point."""

    index: int
    utterance: Utterance
    points: tuple[OperatingPoint, ...]
    twin: OperatingPoint | None = None


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The rows of one task, one per point, and that of the twin."""

    index: int
    rows: list[Measurement]
    seconds: float
    twin: Measurement | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded; ``resident_bytes`` is what the process then holds."""

    load_s: float
    resident_bytes: int | None


def run_worker(connection: Connection, model: str, compute_type: str, settings: Settings) -> None:
    """Serve tasks from a pipe until it closes; send back ``Ready``, then a ``TaskResult`` or an error for each.

    Ctrl-C is the driver's to handle. A driver that dies closes the pipe, and the worker ends with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(os.getppid())
    try:
        started = perf_counter()
        engine = load_engine(model, compute_type, threads=settings.threads, device=settings.device)
        warm_up(engine, settings.language)
        connection.send(Ready(perf_counter() - started, resident_bytes()))
        watch = PeakWatch()
        while True:
            task = connection.recv()
            connection.send(measure_task(engine, task, settings, watch))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except AllophoneError as error:
        connection.send(error)
    finally:
        connection.close()


def warm_up(engine: Engine, language: str) -> None:
    """Run one second of silence, so that the first utterance does not pay for lazy set-up."""
    import numpy as np

    encoded = engine.encode(engine.prepare(np.zeros(0, np.float32), 100))
    engine.append_tail(encoded, range(50, 51))  # makes it encode the silence once
    engine.decode(encoded, token_stride=1, beam_size=1, max_tokens=4, language=known_language(language))


def measure_task(engine: Engine, task: Task, settings: Settings, watch: PeakWatch) -> TaskResult:
    """Measure one utterance at the task's points; one that cannot be read or processed gives rows with ``error``.

    Points that share an encoder pass follow each other; otherwise the order is drawn anew for every utterance. The twin
    never shares a pass. Peaks of memory are watched when all is timed.

    Args:
        engine: The points' model.
        task: What to measure.
        settings: What all rows have in common.
        watch: Knows what peaks have been watched so far.

    Raises:
        AllophoneError: What is wrong with the run, such as a language that the model does not know.
    """
    began = perf_counter()
    try:
        with as_audio_error(str(task.utterance.audio_filepath)):
            return _measured(engine, task, settings, watch, began)
    except AudioError as error:
        return failed_task(task, settings, str(error), perf_counter() - began)


def failed_task(task: Task, settings: Settings, reason: str, seconds: float) -> TaskResult:
    """Return the rows of a task that could not be measured."""
    rows = [_failed(task, point, settings, reason) for point in task.points]
    twin = None if task.twin is None else _failed(task, task.twin, settings, reason)
    return TaskResult(task.index, rows, seconds, twin)


def _measured(engine: Engine, task: Task, settings: Settings, watch: PeakWatch, began: float) -> TaskResult:
    if task.utterance.text is None and settings.relative_to is not None:
        raise AudioError(f"{task.utterance.audio_filepath}: {settings.relative_to} could not transcribe it either.")
    decoded = decode_utterance(task.utterance, longest_s=settings.max_audio_s)
    samples, load_s = decoded.samples, perf_counter() - began
    about = _Recording(load_s, estimate_snr_db(samples), load_average(), "; ".join(decoded.notices) or None)
    runs = {point.name: point for point in task.points}
    if task.twin is not None:
        runs[f"{task.twin.name} {TWIN}"] = task.twin
    groups: dict[str, list[str]] = {}
    for name, point in runs.items():
        groups.setdefault(f"{point.encode_key}{name.removeprefix(point.name)}", []).append(name)
    run = partial(transcribe_points, engine, samples, language=settings.language, confidence=True)
    transcripts: dict[str, Transcript] = {}
    for key in in_turn(groups, settings.seed, task.index):
        names = in_turn(groups[key], settings.seed, task.index)
        transcripts.update(zip(names, run([runs[name] for name in names]), strict=True))
    peaks = watch.peaks(samples.size, {name: partial(run, [point]) for name, point in runs.items()})
    by_name = {
        name: _row(task, transcript, engine, settings, about, peaks.get(name))
        for name, transcript in transcripts.items()
    }
    in_order = [by_name.pop(point.name) for point in task.points]
    return TaskResult(task.index, in_order, perf_counter() - began, next(iter(by_name.values()), None))


@dataclass(frozen=True, slots=True)
class _Recording:
    load_s: float
    snr_db: float | None
    load_average: float | None
    notice: str | None


def _row(
    task: Task, transcript: Transcript, engine: Engine, settings: Settings, about: _Recording, peak_bytes: int | None
) -> Measurement:
    utterance, segments, point = task.utterance, transcript.segments, transcript.point
    reference = utterance.text or ""
    counts = count_word_errors(reference, transcript.text, settings.normalizer)
    characters = count_character_errors(reference, transcript.text, settings.normalizer)
    frames = [passed.frames for passed in transcript.passes]
    tails = [passed.tail_tokens for passed in transcript.passes]
    tokens = [passed.token_count for passed in transcript.passes]
    published = published_recognition_flops(
        engine.dimensions, window_frames=frames, window_tokens=tokens, token_stride=point.token_stride
    )
    threads = settings.threads or choose_threads(engine.dimensions)
    roofline_s = None
    if settings.rates is not None and (rates := settings.rates.get(threads)) is not None:
        roofline_s = least_latency_s(
            engine.dimensions,
            point,
            roofline_device(rates),
            window_frames=frames,
            window_tail=tails,
            window_tokens=tokens,
            prompt_tokens=transcript.prompt_tokens,
        )
    generated = sum(segment.token_count for segment in segments)
    return Measurement(
        point=point.name,
        utterance_index=task.index,
        utterance_id=utterance.id,
        speaker=utterance.speaker,
        duration_s=transcript.duration_s,
        reference=reference,
        hypothesis=transcript.text,
        normalizer=settings.normalizer,
        relative_to=settings.relative_to,
        hits=counts.hits,
        substitutions=counts.substitutions,
        insertions=counts.insertions,
        deletions=counts.deletions,
        text_tokens=generated,
        prompt_tokens=transcript.prompt_tokens,
        window_frames=frames,
        window_tail=tails,
        window_tokens=tokens,
        truncated_windows=sum(segment.truncated for segment in segments),
        rejected_windows=sum(segment.rejected is not None for segment in segments),
        avg_logprob=(
            sum(segment.avg_logprob * segment.token_count for segment in segments) / generated if generated else None
        ),
        no_speech_prob=max((segment.no_speech_prob for segment in segments), default=None),
        compression_ratio=max((segment.compression_ratio for segment in segments), default=None),
        token_logprobs=[value for segment in segments for value in segment.token_logprobs],
        token_entropies=[value for segment in segments for value in segment.token_entropies],
        confidence_s=sum(segment.confidence_s for segment in segments),
        load_s=about.load_s,
        prepare_s=transcript.prepare_s,
        encode_s=transcript.encode_s,
        decode_s=transcript.decode_s,
        latency_s=transcript.latency_s,
        executed_flops=transcript_flops(engine.dimensions, transcript).total,
        published_flops=round(published.total),
        roofline_s=roofline_s,
        peak_memory_bytes=peak_bytes,
        error=None,
        snr_db=about.snr_db,
        cpu_s=transcript.cpu_s if engine.device == "cpu" else None,  # else the processor only waits
        load_average=about.load_average,
        threads=settings.workers * threads,
        notice=about.notice,
        character_hits=characters.hits,
        character_substitutions=characters.substitutions,
        character_insertions=characters.insertions,
        character_deletions=characters.deletions,
    )


def _failed(task: Task, point: OperatingPoint, settings: Settings, reason: str) -> Measurement:
    counts = ("hits", "substitutions", "insertions", "deletions", "text_tokens", "prompt_tokens")
    nothing: dict[str, Any] = dict.fromkeys((*counts, "truncated_windows", "rejected_windows"), 0)
    nothing |= dict.fromkeys(("confidence_s", "load_s", "prepare_s", "encode_s", "decode_s", "latency_s"), 0.0)
    nothing |= dict.fromkeys(("avg_logprob", "no_speech_prob", "compression_ratio", "peak_memory_bytes"))
    return Measurement(
        point=point.name,
        utterance_index=task.index,
        utterance_id=task.utterance.id,
        speaker=task.utterance.speaker,
        duration_s=0.0,
        reference=task.utterance.text or "",
        hypothesis="",
        normalizer=settings.normalizer,
        relative_to=settings.relative_to,
        window_frames=[],
        window_tail=[],
        window_tokens=[],
        token_logprobs=[],
        token_entropies=[],
        executed_flops=0,
        published_flops=0,
        roofline_s=None,
        error=reason,
        **nothing,
    )


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however busy the engine is."""

    def watch() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
