"""Costs of any speech recogniser, by the kind of its dimensions: Whisper's formulas or Moonshine's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from allophone.costs.executed import WhisperFlops, whisper_flops
from allophone.costs.formulas import FLOPS_PER_MAC, audio_tokens
from allophone.costs.moonshine import (
    PROMPT_TOKENS,
    moonshine_flops,
    moonshine_kv_cache_bytes,
    moonshine_parameters,
    moonshine_weight_bytes,
)
from allophone.costs.published import PublishedFlops, published_whisper_flops
from allophone.costs.setting import Convention, check_convention, plan_window_frames, whisper_cost
from allophone.dimensions import TRAINED_CONTEXT_S
from allophone.errors import SpaceError
from allophone.moonshine_dimensions import MoonshineDimensions, RecognitionDimensions
from allophone.records import OperatingPoint

__all__ = [
    "MoonshineCost",
    "moonshine_cost",
    "point_flops",
    "prompt_length",
    "published_recognition_flops",
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
        window_frames: 10 ms frames that the encoder ran on, one a window.
        window_tokens: Text tokens generated, end-of-text included, one a window; 0 where the decoder never started.
        prompt_tokens: Tokens given to the decoder before the first generated one; Moonshine's is always 1.
        window_tail: Silent audio tokens appended, one a window; Moonshine has none.
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


def published_recognition_flops(
    dims: RecognitionDimensions, *, window_frames: Sequence[int], window_tokens: Sequence[int], token_stride: int = 1
) -> PublishedFlops:
    """Sum the published formula over windows.

    arXiv 2606.22790 has no Moonshine. Its formula needs only layers, width and audio tokens, so Moonshine is billed by
    it with its own; both models of a comparison are then counted alike.

    Args:
        dims: The model.
        window_frames: 10 ms frames that the encoder ran on, one a window.
        window_tokens: Text tokens generated, one a window.
        token_stride: Every n-th audio token reaches the decoder.

    Raises:
        SpaceError: A stride below 1.
    """
    encoder, decoder = 0, Fraction(0)
    for frames, text_tokens in zip(window_frames, window_tokens, strict=True):
        tokens = dims.audio_tokens(frames) if isinstance(dims, MoonshineDimensions) else audio_tokens(frames)
        flops = published_whisper_flops(dims, audio_tokens=tokens, text_tokens=text_tokens, token_stride=token_stride)
        encoder += flops.encoder
        decoder += flops.decoder
    return PublishedFlops(encoder, decoder)


def prompt_length(dims: RecognitionDimensions) -> int:
    """Return the prompt's tokens: 1 for Moonshine, 2 for English-only and 4 for multilingual Whisper."""
    if isinstance(dims, MoonshineDimensions):
        return PROMPT_TOKENS
    return 4 if dims.multilingual else 2


def point_flops(dims: RecognitionDimensions, point: OperatingPoint, *, audio_s: float, text_tokens: int) -> int:
    """Return the executed FLOPs of a recording without pauses at a point.

    Args:
        dims: The point's model.
        point: The operating point; a guard's second passes are not foreseen.
        audio_s: Seconds of audio.
        text_tokens: Text tokens of each window.

    Raises:
        SpaceError: A knob outside the model's limits.
    """
    if isinstance(dims, MoonshineDimensions):
        knobs = point.model_dump(include={"window_s", "speed", "token_stride", "beam_size"})
        return moonshine_cost(dims, audio_s=audio_s, text_tokens=text_tokens, **knobs).flops_total
    knobs = point.model_dump(exclude={"model", "guard"})
    return whisper_cost(dims, audio_s=audio_s, text_tokens=text_tokens, **knobs).flops_total


@dataclass(frozen=True, slots=True)
class MoonshineCost:
    """What transcribing one recording costs at one setting; fields as in ``WhisperCost``."""

    convention: Convention
    window_frames: tuple[int, ...]
    window_tokens: tuple[int, ...]
    flops_stem: int
    flops_encoder: int
    flops_cross_kv: int
    flops_decoder: int
    flops_head: int
    params: int
    weight_bytes: int
    kv_cache_bytes: int

    @property
    def flops_total(self) -> int:
        """All parts together."""
        return self.flops_stem + self.flops_encoder + self.flops_cross_kv + self.flops_decoder + self.flops_head

    @property
    def macs_total(self) -> int:
        """Multiply-accumulates: half the FLOPs."""
        return self.flops_total // FLOPS_PER_MAC


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
) -> MoonshineCost:
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
    return MoonshineCost(
        convention, frames, tokens, *parts, moonshine_parameters(dims), moonshine_weight_bytes(dims), cache
    )
