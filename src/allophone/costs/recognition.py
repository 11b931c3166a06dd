"""Costs of any speech recogniser, by the kind of its dimensions: Whisper's formulas or Moonshine's."""

from __future__ import annotations

from collections.abc import Sequence

from allophone.costs.executed import WhisperFlops, whisper_flops
from allophone.costs.moonshine import (
    PROMPT_TOKENS,
    moonshine_flops,
    moonshine_kv_cache_bytes,
    moonshine_parameters,
    moonshine_weight_bytes,
)
from allophone.costs.published import published_recognition_flops
from allophone.costs.setting import (
    Convention,
    RecognitionCost,
    check_convention,
    plan_window_frames,
    window_tails,
)
from allophone.dimensions.moonshine import MoonshineDimensions, RecognitionDimensions
from allophone.dimensions.whisper import TRAINED_CONTEXT_S, prompt_names
from allophone.errors import SpaceError
from allophone.records.point import OperatingPoint

__all__ = [
    "moonshine_cost",
    "point_flops",
    "prompt_length",
    "recognition_flops",
]


def recognition_flops(
    dims: RecognitionDimensions,
    *,
    window_frames: Sequence[int],
    window_tokens: Sequence[int],
    prompt_tokens: int,
    window_tail: Sequence[int] | None = None,
    token_stride: int = 1,
    beam_size: int = 1,
    no_speech_prob: bool = False,
) -> WhisperFlops:
    """Count what one utterance executed.

    Args:
        dims: The model.
        window_frames: 10 ms frames that the encoder ran on, one per window.
        window_tokens: Text tokens generated, end-of-text included, one per window; 0 where the decoder never started.
        prompt_tokens: Tokens given to the decoder before the first generated one; Moonshine's is always 1.
        window_tail: Silent audio tokens appended, one per window; Moonshine has none.
        token_stride: Every n-th audio token reaches the decoder.
        beam_size: Beams of the decoder.
        no_speech_prob: Whether the no-speech probability was read, as in ``whisper_flops``; Moonshine has none.

    Raises:
        SpaceError: Lists of unequal length, or a knob outside the model's limits.
    """
    if isinstance(dims, MoonshineDimensions):
        if any(window_tail or ()):
            raise SpaceError("a silence tail with Moonshine, which has no trained context; use tail=none")
        return moonshine_flops(
            dims,
            window_frames=window_frames,
            window_tokens=window_tokens,
            token_stride=token_stride,
            beam_size=beam_size,
        )
    return whisper_flops(
        dims,
        window_frames=window_frames,
        window_tokens=window_tokens,
        prompt_tokens=prompt_tokens,
        window_tail=window_tail,
        token_stride=token_stride,
        beam_size=beam_size,
        no_speech_prob=no_speech_prob,
    )


def prompt_length(dims: RecognitionDimensions) -> int:
    """Return the prompt's tokens: 1 for Moonshine, 2 for English-only and 4 for multilingual Whisper."""
    if isinstance(dims, MoonshineDimensions):
        return PROMPT_TOKENS
    return len(prompt_names(dims, "en"))


def point_flops(dims: RecognitionDimensions, point: OperatingPoint, *, audio_s: float, text_tokens: int) -> int:
    """Return the executed FLOPs of a recording without pauses at a point, no-speech probability included.

    Args:
        dims: The point's model.
        point: The operating point; a guard's second passes are not foreseen.
        audio_s: Seconds of audio.
        text_tokens: Text tokens of each window.

    Raises:
        SpaceError: A knob outside the model's limits.
    """
    frames = plan_window_frames(
        audio_s,
        window_s=point.window_s,
        context=point.context,
        margin_s=point.margin_s,
        floor_s=point.floor_s,
        speed=point.speed,
    )
    return recognition_flops(
        dims,
        window_frames=frames,
        window_tail=window_tails(dims, frames, context=point.context, tail=point.tail),
        window_tokens=[text_tokens] * len(frames),
        prompt_tokens=prompt_length(dims),
        token_stride=point.token_stride,
        beam_size=point.beam_size,
        no_speech_prob=True,
    ).total


def moonshine_cost(
    dims: MoonshineDimensions,
    *,
    audio_s: float = TRAINED_CONTEXT_S,
    window_s: float = TRAINED_CONTEXT_S,
    speed: float = 1.0,
    token_stride: int = 1,
    beam_size: int = 1,
    text_tokens: int = 20,
    convention: Convention = "executed",
) -> RecognitionCost:
    """Return what transcribing one recording costs; the context is the audio itself, the number format int8.

    Args:
        dims: The model.
        audio_s: Seconds of audio.
        window_s: Seconds of audio in one encoder pass.
        speed: Time compression before everything else.
        token_stride: Every n-th audio token reaches the decoder.
        beam_size: Beams of the decoder.
        text_tokens: Tokens generated in each window, end-of-text included.
        convention: ``executed``, or ``published`` as in :func:`published_recognition_flops`.

    Raises:
        SpaceError: A knob outside its limits; the message names them.
    """
    check_convention(convention)
    frames = plan_window_frames(audio_s, window_s=window_s, context="fit", speed=speed)
    tokens = (text_tokens,) * len(frames)
    executed = moonshine_flops(
        dims, window_frames=frames, window_tokens=tokens, token_stride=token_stride, beam_size=beam_size
    )
    parts = (executed.stem, executed.encoder, executed.cross_kv, executed.decoder, executed.head)
    if convention == "published":
        billed = published_recognition_flops(
            dims, window_frames=frames, window_tokens=tokens, token_stride=token_stride
        )
        parts = (0, billed.encoder, 0, round(billed.decoder), 0)
    cache = (
        moonshine_kv_cache_bytes(
            dims, frames=max(frames), text_tokens=text_tokens, token_stride=token_stride, beam_size=beam_size
        )
        if frames
        else 0
    )
    return RecognitionCost(
        convention, frames, tokens, *parts, moonshine_parameters(dims), moonshine_weight_bytes(dims), cache
    )
