"""One recording through operating points that share their encoder passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from allophone.audio.mel import context_frames
from allophone.audio.stretch import compress_time
from allophone.audio.windows import split_windows
from allophone.dimensions import SAMPLE_RATE
from allophone.models.engine import Engine
from allophone.models.mending import decode_windows
from allophone.models.passes import EncodedWindows, Reading, Window, encode_windows
from allophone.records import OperatingPoint, Segment, Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "AUTO_LANGUAGE",
    "PACK_FIT_S",
    "EncodedRecording",
    "cut_windows",
    "encode_recording",
    "join_segments",
    "transcribe_points",
    "with_detection",
]

AUTO_LANGUAGE = "auto"
# A fit pass costs what its audio is long, so nothing is saved by filling 30 s, and text ends early less often below.
PACK_FIT_S = 15.0


def transcribe_points(
    engine: Engine,
    samples: NDArray[np.float32],
    points: Sequence[OperatingPoint],
    *,
    language: str = "en",
    words: bool = False,
    confidence: bool = False,
    encoded: EncodedRecording | None = None,
    peak_memory: Callable[[], int | None] | None = None,
) -> list[Transcript]:
    """Transcribe one recording at several points, encoding each window once.

    Every transcript's times are what its point alone would have taken: the shared preparation and encoder pass count in
    full for each, the decoder for its own point only. A pass that a point's guard turns down stays in the transcript
    as the segment's ``rejected`` and is paid for. Windows are taken one after another, so memory holds one window's
    audio tokens however long the recording is.

    Args:
        engine: A loaded model; every point's ``weights_key`` must be its own.
        samples: Shape ``(n_samples,)``, 16 kHz mono.
        points: Points with one common ``encode_key``.
        language: Language code of the prompt, or ``auto`` to let the model tell from the first window.
        words: Whether to find each word's place in time; the time that takes counts as decoding.
        confidence: Whether to read each token's log-probability and entropy (greedy points only).
        encoded: The recording's windows where they are encoded already, by :func:`encode_recording` at such a point;
            then only the decoder runs.
        peak_memory: Returns the peak resident bytes since it was last called; None leaves the field empty.

    Returns:
        One transcript per point, in order. Audio without speech gives no segment and an empty text.

    Raises:
        ValueError: The points do not share an encoder pass.
        UsageError: The model does not know the language.
    """
    shared = points[0]
    if any(point.encode_key != shared.encode_key for point in points):
        raise ValueError("these points do not share an encoder pass")
    watch = peak_memory or (lambda: None)
    watch()
    windows, prepare_s = cut_windows(samples, shared) if encoded is None else (encoded.windows, encoded.cut_s)
    segments: list[list[Segment]] = [[] for _ in points]
    peaks: list[int] = [0 for _ in points]
    shared_peak = watch() or 0
    for place, window in enumerate(windows):
        passed = encoded.passes[place] if encoded is not None else encode_window(engine, window, shared)
        prepare_s += passed.prepare_s
        shared_peak = max(shared_peak, watch() or 0)
        detect_s = 0.0
        if language == AUTO_LANGUAGE:
            started = perf_counter()
            language = engine.detect_language(passed.output)
            detect_s = perf_counter() - started
        whole: dict[tuple[int, ...], EncodedWindows] = {}
        for index, point in enumerate(points):
            reading = Reading(words=words, confidence=confidence)
            (found,) = decode_windows(engine, [window], passed, point, [language], reading, whole)
            peaks[index] = max(peaks[index], watch() or 0)
            segments[index] += with_detection(found, detect_s)
    return [
        join_segments(engine, point, parts, samples.size, prepare_s, language, max(shared_peak, peak) or None)
        for point, parts, peak in zip(points, segments, peaks, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedRecording:
    """One recording through the encoder.

    Args:
        windows: In order.
        passes: One a window.
        cut_s: Seconds of time compression and of cutting it into windows.
    """

    windows: list[Window]
    passes: list[EncodedWindows]
    cut_s: float


def encode_recording(engine: Engine, samples: NDArray[np.float32], point: OperatingPoint) -> EncodedRecording:
    """Encode all windows of a recording, to look at before decoding; memory holds all of them.

    Args:
        engine: A loaded model, the point's own.
        samples: Shape ``(n_samples,)``, 16 kHz mono.
        point: Its ``encode_key`` says how.
    """
    windows, cut_s = cut_windows(samples, point)
    return EncodedRecording(windows, [encode_window(engine, window, point) for window in windows], cut_s)


def encode_window(engine: Engine, window: Window, point: OperatingPoint) -> EncodedWindows:
    """Encode one window on the frames that the point gives it."""
    return encode_windows(engine, [window], context_frames(window.audio.size, point))


def cut_windows(samples: NDArray[np.float32], point: OperatingPoint) -> tuple[list[Window], float]:
    """Return a recording's windows after time compression, and the seconds that preparing them took.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz mono.
        point: Its ``speed`` and ``window_s`` count.
    """
    started = perf_counter()
    audio = compress_time(samples, point.speed)
    windows = [
        Window(
            audio[cut.start : cut.end],
            cut.start * point.speed / SAMPLE_RATE,
            cut.end * point.speed / SAMPLE_RATE,
            cut.speech,
        )
        for cut in split_windows(audio, point.window_s, pack_s=PACK_FIT_S if point.context == "fit" else None)
    ]
    return windows, perf_counter() - started


def with_detection(segments: list[Segment], seconds: float) -> list[Segment]:
    """Charge telling the language to the first pass of a window."""
    first, *others = segments
    if first.rejected is not None:
        first = replace(first, rejected=replace(first.rejected, decode_s=first.rejected.decode_s + seconds))
    else:
        first = replace(first, decode_s=first.decode_s + seconds)
    return [first, *others]


def join_segments(
    engine: Engine,
    point: OperatingPoint,
    segments: Sequence[Segment],
    n_samples: int,
    prepare_s: float,
    language: str,
    peak_memory_bytes: int | None = None,
) -> Transcript:
    """Return the transcript of a recording from its segments in order.

    Args:
        engine: What ran.
        point: At which point.
        segments: One a window, or several where it was cut.
        n_samples: Length of the recording at 16 kHz.
        prepare_s: As in :class:`allophone.records.Transcript`.
        language: Of the prompt; without a window nothing tells ``auto``, and it becomes ``en``.
        peak_memory_bytes: As in :class:`allophone.records.Transcript`.
    """
    language = "en" if language == AUTO_LANGUAGE else language
    return Transcript(
        point=point,
        text=" ".join(segment.text for segment in segments if segment.text),
        language=language,
        duration_s=n_samples / SAMPLE_RATE,
        segments=tuple(segments),
        prepare_s=prepare_s,
        prompt_tokens=engine.prompt_tokens(language),
        peak_memory_bytes=peak_memory_bytes,
    )
