"""Windows and one decoding pass over them: encode, decode once, align words, with costs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from allophone.audio.tail import learned_vectors, tail_positions
from allophone.audio.windows import Span
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN
from allophone.models.engine import TRANSCRIBE, DecoderPrompt, Engine, text_token_cap
from allophone.models.stopwatch import Stopwatch
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Word

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DecodeExtras",
    "EncodedWindows",
    "Window",
    "align_words",
    "compression_ratio",
    "decode_once",
    "encode_windows",
]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Audio that one encoder pass takes.

    Args:
        audio: Shape ``(n_samples,)``, 16 kHz, after time compression.
        start_s: Where it starts in the recording as it was, in seconds.
        end_s: Where it ends.
        speech: Spans of the audio, in samples, that hold speech; None where nobody has looked.
    """

    audio: NDArray[np.float32]
    start_s: float
    end_s: float
    speech: tuple[Span, ...] | None = None


@dataclass(frozen=True, slots=True)
class DecodeExtras:
    """What is asked of a pass beside its text: places of words, tokens' log-probabilities; and what it is told."""

    words: bool = False
    confidence: bool = False
    prompt: DecoderPrompt = TRANSCRIBE


@dataclass(frozen=True, slots=True)
class EncodedWindows:
    """What the engine made of some windows together.

    Args:
        mels: Each window as :meth:`Engine.prepare` returned it: log-mel ``(n_mels, frames)``, or samples.
        output: The engine's own form.
        frames: Log-mel frames that each window ran on.
        prepare_s: Seconds of each window's log-mel.
        encode_s: Seconds of each window in the encoder: its share of the frames that ran.
        cpu_s: Processor seconds of both, each window's share.
        reused: Whether an earlier pass has paid for them, so that a pass over them is the decoder's alone.
    """

    mels: tuple[NDArray[np.float32], ...]
    output: Any
    frames: int
    prepare_s: float
    encode_s: float
    cpu_s: float = 0.0
    reused: bool = False

    def of_window(self, engine: Engine, index: int) -> EncodedWindows:
        """Return one of the windows, to be decoded again: its log-mel and its encoder pass are paid for."""
        return EncodedWindows((self.mels[index],), engine.row(self.output, index), self.frames, 0.0, 0.0, reused=True)


def encode_windows(engine: Engine, windows: Sequence[Window], frames: int) -> EncodedWindows:
    """Encode windows together, each on the same frames.

    Args:
        engine: A loaded model.
        windows: One or more; none longer than the frames.
        frames: Log-mel frames, those of the longest window: the shorter ones get a longer margin.
    """
    import numpy as np

    watch, count = Stopwatch(), len(windows)
    mels = [engine.prepare(window.audio, frames) for window in windows]
    prepared = watch.lap()
    output = engine.encode(np.stack(mels) if count > 1 else mels[0])
    encoded = watch.lap()
    cpu_s = (prepared.cpu_s + encoded.cpu_s) / count
    return EncodedWindows(tuple(mels), output, frames, prepared.wall_s / count, encoded.wall_s / count, cpu_s)


def decode_once(
    engine: Engine,
    windows: Sequence[Window],
    encoded: EncodedWindows,
    point: OperatingPoint,
    languages: Sequence[str],
    extras: DecodeExtras,
    *,
    beam_size: int | None = None,
    repetition_penalty: float = 1.0,
) -> list[Segment]:
    """Decode windows together, once.

    Args:
        engine: A loaded model.
        windows: Those that were encoded.
        encoded: From :func:`encode_windows`.
        point: Tail, stride and beams to decode with.
        languages: One code per window.
        extras: What else to read.
        beam_size: Beams; None takes the point's.
        repetition_penalty: As in :meth:`allophone.models.engine.Engine.decode`.

    Returns:
        A segment for each window; the text-token cap is that of the longest, the time is shared equally. Reading each
        token's confidence is no part of it; of the processor time it is taken to have had its share of the seconds.
    """
    watch = Stopwatch()
    positions = tail_positions(encoded.frames, point.tail, engine.dimensions.n_audio_ctx)
    output = engine.append_tail(encoded.output, positions, learned=learned_vectors(point.tail))
    batch = engine.decode_batch(
        output,
        token_stride=point.token_stride,
        beam_size=beam_size or point.beam_size,
        max_tokens=max(text_token_cap(window.end_s - window.start_s) for window in windows),
        languages=languages,
        confidence=extras.confidence,
        repetition_penalty=repetition_penalty,
        prompt=extras.prompt,
    )
    shared = watch.lap()
    decode_s = shared.wall_s - sum(decoded.confidence_s for decoded in batch)
    cpu_s = shared.cpu_s * decode_s / shared.wall_s if shared.wall_s else 0.0
    segments = []
    for index, (window, decoded, language) in enumerate(zip(windows, batch, languages, strict=True)):
        watch = Stopwatch()
        words: tuple[Word, ...] = ()
        if extras.words:
            words = align_words(engine, engine.row(output, index), decoded.tokens, point, language, window)
        aligned = watch.lap()
        segments.append(
            Segment(
                start_s=window.start_s,
                end_s=window.end_s,
                text=decoded.text,
                tokens=decoded.tokens,
                token_count=decoded.token_count,
                frames=0 if encoded.reused else encoded.frames,
                tail_tokens=len(positions) + (encoded.frames // FRAMES_PER_AUDIO_TOKEN if encoded.reused else 0),
                avg_logprob=decoded.avg_logprob,
                no_speech_prob=decoded.no_speech_prob,
                compression_ratio=compression_ratio(decoded.text),
                truncated=decoded.truncated,
                encode_s=encoded.encode_s,
                decode_s=decode_s / len(batch) + aligned.wall_s,
                words=words,
                token_logprobs=decoded.token_logprobs,
                token_entropies=decoded.token_entropies,
                confidence_s=decoded.confidence_s,
                cpu_s=encoded.cpu_s + cpu_s / len(batch) + aligned.cpu_s,
                beam_size=beam_size,
            )
        )
    return segments


def align_words(
    engine: Engine, encoded: object, tokens: Sequence[int], point: OperatingPoint, language: str, window: Window
) -> tuple[Word, ...]:
    """Find where the words of a pass lie in the recording.

    Args:
        engine: A loaded model.
        encoded: The window's encoder output, one row of it.
        tokens: Text tokens of the pass.
        point: Its ``token_stride`` and ``speed`` count.
        language: Of the prompt.
        window: The window.
    """
    found = engine.align(encoded, tokens, token_stride=point.token_stride, language=language)

    def place(seconds: float) -> float:
        # Time compression made the window shorter; words in the padding belong to its end.
        return min(window.start_s + seconds * point.speed, window.end_s)

    return tuple(Word(word.text, place(word.start_s), place(word.end_s), word.probability) for word in found)


def compression_ratio(text: str) -> float:
    """Return bytes of the text over bytes of its zlib compression (openai/whisper, ``utils.py``); 0 for no text.

    A repetition loop compresses well; openai/whisper distrusts a ratio above 2.4.
    """
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded))
