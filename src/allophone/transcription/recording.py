"""Transcribing one recording at operating points that share their encoder passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from allophone.audio.mel import context_frames
from allophone.audio.stretch import compress_time
from allophone.audio.windows import split_windows
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.engine import TRANSCRIBE, DecoderPrompt, Engine
from allophone.models.stopwatch import Lap, Stopwatch
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Transcript
from allophone.transcription.fallback import decode_with_fallback
from allophone.transcription.windows import DecodeExtras, EncodedWindows, Window, encode_windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "AUTO_LANGUAGE",
    "PACK_FIT_S",
    "EncodedRecording",
    "add_detection_time",
    "cut_windows",
    "encode_recording",
    "join_segments",
    "known_language",
    "transcribe_points",
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
    before_window: Callable[[], None] | None = None,
    prompt: DecoderPrompt = TRANSCRIBE,
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
        before_window: Called before each window; what it raises ends the recording.
        prompt: What the decoder is told before each window.

    Returns:
        One transcript per point, in order. Audio without speech gives no segment and an empty text.

    Raises:
        ValueError: The points do not share an encoder pass.
        UsageError: The model does not know the language.
    """
    shared = points[0]
    if any(point.encode_key != shared.encode_key for point in points):
        raise ValueError("these points do not share an encoder pass")
    windows, cut = cut_windows(samples, shared) if encoded is None else (encoded.windows, encoded.cut)
    prepare_s = cut.wall_s
    segments: list[list[Segment]] = [[] for _ in points]
    for place, window in enumerate(windows):
        if before_window is not None:
            before_window()
        passed = encoded.passes[place] if encoded is not None else encode_window(engine, window, shared)
        prepare_s += passed.prepare_s
        detected = Lap(0.0, 0.0)
        if language == AUTO_LANGUAGE:
            watch = Stopwatch()
            language = engine.detect_language(passed.output)
            detected = watch.lap()
        full_context_cache: dict[int, EncodedWindows] = {}
        for index, point in enumerate(points):
            extras = DecodeExtras(words=words, confidence=confidence, prompt=prompt)
            (found,) = decode_with_fallback(engine, [window], passed, point, [language], extras, full_context_cache)
            segments[index] += add_detection_time(found, detected)
    return [
        join_segments(engine, point, parts, samples.size, prepare_s, language, cut.cpu_s, prompt)
        for point, parts in zip(points, segments, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedRecording:
    """One recording through the encoder.

    Args:
        windows: In order.
        passes: One per window.
        cut: What time compression and cutting it into windows took.
    """

    windows: list[Window]
    passes: list[EncodedWindows]
    cut: Lap


def encode_recording(engine: Engine, samples: NDArray[np.float32], point: OperatingPoint) -> EncodedRecording:
    """Encode all windows of a recording, to look at before decoding; memory holds all of them.

    Args:
        engine: A loaded model, the point's own.
        samples: Shape ``(n_samples,)``, 16 kHz mono.
        point: Its ``encode_key`` says how.
    """
    windows, cut = cut_windows(samples, point)
    return EncodedRecording(windows, [encode_window(engine, window, point) for window in windows], cut)


def encode_window(engine: Engine, window: Window, point: OperatingPoint) -> EncodedWindows:
    """Encode one window on the frames that the point gives it."""
    return encode_windows(engine, [window], context_frames(window.audio.size, point))


def cut_windows(samples: NDArray[np.float32], point: OperatingPoint) -> tuple[list[Window], Lap]:
    """Return a recording's windows after time compression, and what preparing them took.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz mono.
        point: Its ``speed`` and ``window_s`` count.
    """
    watch = Stopwatch()
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
    return windows, watch.lap()


def add_detection_time(segments: list[Segment], detected: Lap) -> list[Segment]:
    """Charge telling the language to the first pass of a window."""
    first, *others = segments
    if first.rejected is not None:
        first = replace(first, rejected=first.rejected.charged(*detected))
    else:
        first = first.charged(*detected)
    return [first, *others]


def join_segments(
    engine: Engine,
    point: OperatingPoint,
    segments: Sequence[Segment],
    n_samples: int,
    prepare_s: float,
    language: str,
    cut_cpu_s: float = 0.0,
    prompt: DecoderPrompt = TRANSCRIBE,
) -> Transcript:
    """Return the transcript of a recording from its segments in order.

    Args:
        engine: What ran.
        point: At which point.
        segments: One per window, or several where it was cut.
        n_samples: Length of the recording at 16 kHz.
        prepare_s: As in :class:`allophone.records.Transcript`.
        language: Of the prompt; without a window nothing tells ``auto``, and it becomes ``en``.
        cut_cpu_s: As in :class:`allophone.records.Transcript`.
        prompt: What the decoder was told.
    """
    language = known_language(language)
    return Transcript(
        point=point,
        text=" ".join(segment.text for segment in segments if segment.text),
        language=language,
        duration_s=n_samples / SAMPLE_RATE,
        segments=tuple(segments),
        prepare_s=prepare_s,
        prompt_tokens=engine.prompt_tokens(language, prompt),
        cut_cpu_s=cut_cpu_s,
    )


def known_language(language: str) -> str:
    """Return the language of a prompt; ``auto``, of which nothing has been heard yet, becomes ``en``."""
    return "en" if language == AUTO_LANGUAGE else language
