"""One recording through operating points that share their encoder passes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from allophone.audio.mel import TRAINED_FRAMES, context_frames, log_mel
from allophone.audio.stretch import compress_time
from allophone.audio.tail import tail_positions
from allophone.audio.windows import split_windows
from allophone.dimensions import SAMPLE_RATE
from allophone.models.engine import Engine, text_token_cap
from allophone.models.guard import distrust
from allophone.records import OperatingPoint, Segment, Transcript, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AUTO_LANGUAGE", "compression_ratio", "transcribe_points"]

AUTO_LANGUAGE = "auto"


def transcribe_points(
    engine: Engine,
    samples: NDArray[np.float32],
    points: Sequence[OperatingPoint],
    *,
    language: str = "en",
    words: bool = False,
    confidence: bool = False,
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
    started = perf_counter()
    audio = compress_time(samples, shared.speed)
    spans = split_windows(audio, shared.window_s)
    prepare_s = perf_counter() - started
    segments: list[list[Segment]] = [[] for _ in points]
    peaks: list[int] = [0 for _ in points]
    shared_peak = watch() or 0
    for start, end in spans:
        window = _Window(audio[start:end], start * shared.speed / SAMPLE_RATE, end * shared.speed / SAMPLE_RATE)
        encoded, mel_s = _encode(engine, window, context_frames(end - start, shared))
        prepare_s += mel_s
        shared_peak = max(shared_peak, watch() or 0)
        detect_s = 0.0
        if language == AUTO_LANGUAGE:
            started = perf_counter()
            language = engine.detect_language(encoded.output)
            detect_s = perf_counter() - started
        whole: _Encoded | None = None
        for index, point in enumerate(points):
            asked = _Asked(language, words=words, confidence=confidence)
            segment = _decode(engine, window, encoded, point, asked, detect_s)
            if point.guard and encoded.frames < TRAINED_FRAMES and distrust(segment) is not None:
                if whole is None:  # charged in full to every point that needs it
                    whole, mel_s = _encode(engine, window, TRAINED_FRAMES)
                    whole = replace(whole, seconds=whole.seconds + mel_s)
                segment = replace(_decode(engine, window, whole, point, asked, 0.0), rejected=segment)
            peaks[index] = max(peaks[index], watch() or 0)
            segments[index].append(segment)
    if language == AUTO_LANGUAGE:  # no window, so nothing to tell it from
        language = "en"
    return [
        Transcript(
            point=point,
            text=" ".join(segment.text for segment in parts if segment.text),
            language=language,
            duration_s=samples.size / SAMPLE_RATE,
            segments=tuple(parts),
            prepare_s=prepare_s,
            prompt_tokens=engine.prompt_tokens(language),
            peak_memory_bytes=max(shared_peak, peak) or None,
        )
        for point, parts, peak in zip(points, segments, peaks, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Window:
    """Compressed audio of one window, and where it lies in the recording."""

    audio: NDArray[np.float32]
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class _Encoded:
    """What the engine made of one window, with the frames it ran on and the seconds it took."""

    output: Any
    frames: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Asked:
    language: str
    words: bool
    confidence: bool


def _encode(engine: Engine, window: _Window, frames: int) -> tuple[_Encoded, float]:
    """Return the encoded window, and the seconds of its log-mel."""
    started = perf_counter()
    mel = log_mel(window.audio, frames, engine.dimensions.n_mels)
    prepared = perf_counter()
    output = engine.encode(mel)
    return _Encoded(output, frames, perf_counter() - prepared), prepared - started


def _decode(
    engine: Engine, window: _Window, encoded: _Encoded, point: OperatingPoint, asked: _Asked, detect_s: float
) -> Segment:
    started = perf_counter()
    positions = tail_positions(encoded.frames, point.tail, engine.dimensions.n_audio_ctx)
    output = engine.append_tail(encoded.output, positions)
    decoded = engine.decode(
        output,
        token_stride=point.token_stride,
        beam_size=point.beam_size,
        max_tokens=text_token_cap(window.end_s - window.start_s),
        language=asked.language,
        confidence=asked.confidence,
    )
    aligned: tuple[Word, ...] = ()
    if asked.words:
        aligned = _align(engine, output, decoded.tokens, point, asked.language, (window.start_s, window.end_s))
    decode_s = perf_counter() - started + detect_s - decoded.confidence_s
    return Segment(
        start_s=window.start_s,
        end_s=window.end_s,
        text=decoded.text,
        tokens=decoded.tokens,
        token_count=decoded.token_count,
        frames=encoded.frames,
        tail_tokens=len(positions),
        avg_logprob=decoded.avg_logprob,
        no_speech_prob=decoded.no_speech_prob,
        compression_ratio=compression_ratio(decoded.text),
        truncated=decoded.truncated,
        encode_s=encoded.seconds,
        decode_s=decode_s,
        words=aligned,
        token_logprobs=decoded.token_logprobs,
        token_entropies=decoded.token_entropies,
        confidence_s=decoded.confidence_s,
    )


def _align(
    engine: Engine,
    encoded: object,
    tokens: Sequence[int],
    point: OperatingPoint,
    language: str,
    window: tuple[float, float],
) -> tuple[Word, ...]:
    start_s, end_s = window
    found = engine.align(encoded, tokens, token_stride=point.token_stride, language=language)

    def place(seconds: float) -> float:
        # Time compression made the window shorter; words in the padding belong to its end.
        return min(start_s + seconds * point.speed, end_s)

    return tuple(Word(word.text, place(word.start_s), place(word.end_s), word.probability) for word in found)


def compression_ratio(text: str) -> float:
    """Return bytes of the text over bytes of its zlib compression (openai/whisper, ``utils.py``); 0 for no text.

    A repetition loop compresses well; openai/whisper distrusts a ratio above 2.4.
    """
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))
