"""The limits of every knob, each with the one message that names it."""

from __future__ import annotations

from allophone.dimensions import FRAMES_PER_AUDIO_TOKEN, WhisperDimensions
from allophone.errors import SpaceError

__all__ = [
    "check_beam",
    "check_frames",
    "check_prompt",
    "check_stride",
    "check_text_tokens",
]


def check_stride(token_stride: int) -> None:
    """Refuse a token stride below 1."""
    if token_stride < 1:
        raise SpaceError(f"token_stride {token_stride} keeps no audio token; the least is 1")


def check_beam(beam_size: int) -> None:
    """Refuse a beam size below 1."""
    if beam_size < 1:
        raise SpaceError(f"beam_size {beam_size} keeps no hypothesis; the least is 1")


def check_frames(dims: WhisperDimensions, frames: int) -> None:
    """Refuse a window without frames, or with more than the encoder has positions for."""
    most = dims.n_audio_ctx * FRAMES_PER_AUDIO_TOKEN
    if not 1 <= frames <= most:
        raise SpaceError(
            f"{frames} log-mel frames in a window; the encoder takes 1 to {most} "
            f"({dims.n_audio_ctx} audio tokens is its trained length)"
        )


def check_prompt(prompt_tokens: int, *, started: bool) -> None:
    """Refuse a negative prompt, and an empty one where the decoder has to start."""
    least = 1 if started else 0
    if prompt_tokens < least:
        raise SpaceError(f"prompt_tokens {prompt_tokens} is below {least}; decoding starts from at least one token")


def check_text_tokens(dims: WhisperDimensions, text_tokens: int, prompt_tokens: int) -> None:
    """Refuse a negative count, and more tokens than the decoder has positions for.

    The last generated token is not fed back, so ``prompt_tokens + text_tokens - 1`` positions are used.
    """
    if text_tokens < 0:
        raise SpaceError(f"text_tokens {text_tokens} is below 0")
    if text_tokens and prompt_tokens + text_tokens - 1 > dims.n_text_ctx:
        raise SpaceError(
            f"{prompt_tokens} prompt tokens and {text_tokens} text tokens need {prompt_tokens + text_tokens - 1} "
            f"positions; the decoder has {dims.n_text_ctx}"
        )
