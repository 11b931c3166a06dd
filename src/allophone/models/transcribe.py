"""One recording through operating points that share their encoder passes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from allophone.audio.mel import context_frames, log_mel
from allophone.audio.stretch import compress_time
from allophone.audio.windows import split_windows
from allophone.dimensions import SAMPLE_RATE
from allophone.models.engine import Engine, text_token_cap
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
    peak_memory: Callable[[], int | None] | None = None,
) -> list[Transcript]:
    """Transcribe one recording at several points, encoding each window once.

    Every transcript's times are what its point alone would have taken: the shared preparation and encoder pass count in
    full for each, the decoder for its own point only. Windows are taken one after another, so memory holds one window's
    audio tokens however long the recording is.

    Args:
        engine: A loaded model; every point's ``weights_key`` must be its own.
        samples: Shape ``(n_samples,)``, 16 kHz mono.
        points: Points with one common ``encode_key``.
        language: Language code of the prompt, or ``auto`` to let the model tell from the first window.
        words: Whether to find each word's place in time; the time that takes counts as decoding.
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
        started = perf_counter()
        frames = context_frames(end - start, shared)
        mel = log_mel(audio[start:end], frames, engine.dimensions.n_mels)
        prepare_s += perf_counter() - started
        started = perf_counter()
        encoded = engine.encode(mel)
        encode_s = perf_counter() - started
        shared_peak = max(shared_peak, watch() or 0)
        detect_s = 0.0
        if language == AUTO_LANGUAGE:
            started = perf_counter()
            language = engine.detect_language(encoded)
            detect_s = perf_counter() - started
        start_s, end_s = (edge * shared.speed / SAMPLE_RATE for edge in (start, end))
        cap = text_token_cap(end_s - start_s)
        for index, point in enumerate(points):
            started = perf_counter()
            decoded = engine.decode(
                encoded,
                token_stride=point.token_stride,
                beam_size=point.beam_size,
                max_tokens=cap,
                language=language,
            )
            aligned: tuple[Word, ...] = ()
            if words:
                aligned = _align(engine, encoded, decoded.tokens, point, language, (start_s, end_s))
            decode_s = perf_counter() - started + detect_s
            peaks[index] = max(peaks[index], watch() or 0)
            segments[index].append(
                Segment(
                    start_s=start_s,
                    end_s=end_s,
                    text=decoded.text,
                    tokens=decoded.tokens,
                    token_count=decoded.token_count,
                    frames=frames,
                    avg_logprob=decoded.avg_logprob,
                    no_speech_prob=decoded.no_speech_prob,
                    compression_ratio=compression_ratio(decoded.text),
                    truncated=decoded.truncated,
                    encode_s=encode_s,
                    decode_s=decode_s,
                    words=aligned,
                )
            )
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
