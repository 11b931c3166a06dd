"""Valid ranges of every knob, each with the one message that names it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, TRAINED_CONTEXT_S, WhisperDimensions
from allophone.errors import SpaceError
from allophone.records.point import TAIL_PATTERN, ComputeType

__all__ = [
    "check_audio",
    "check_beam",
    "check_classes",
    "check_compute_type",
    "check_context",
    "check_frames",
    "check_lora_rank",
    "check_prompt",
    "check_speed",
    "check_stride",
    "check_tail",
    "check_tail_rule",
    "check_text_tokens",
    "check_unfrozen_layers",
    "check_windows",
]

SPEEDS = (0.5, 4.0)  # least and most time compression, as in OperatingPoint


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


def check_windows(window_frames: Sequence[int], window_tokens: Sequence[int]) -> None:
    """Refuse lists that do not describe the same windows."""
    if len(window_frames) != len(window_tokens):
        raise SpaceError(
            f"{len(window_frames)} window_frames but {len(window_tokens)} window_tokens: one of each a window"
        )


def check_prompt(prompt_tokens: int, *, started: bool) -> None:
    """Refuse a negative prompt, and an empty one where the decoder has to start."""
    least = 1 if started else 0
    if prompt_tokens < least:
        raise SpaceError(f"prompt_tokens {prompt_tokens} is below {least}; decoding starts from at least one token")


def check_text_tokens(dims: RecognitionDimensions, text_tokens: int, prompt_tokens: int) -> None:
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


def check_compute_type(compute_type: str) -> None:
    """Refuse an unknown number format."""
    known = get_args(ComputeType)
    if compute_type not in known:
        raise SpaceError(f"unknown compute_type '{compute_type}'; known ones: {', '.join(known)}")


def check_audio(audio_s: float) -> None:
    """Refuse negative or endless audio; 0 s is no windows and costs nothing."""
    if not 0 <= audio_s < float("inf"):
        raise SpaceError(f"audio of {audio_s:g} s; give 0 s or more")


def check_speed(speed: float) -> None:
    """Refuse a time compression that the engine does not make."""
    least, most = SPEEDS
    if not least <= speed <= most:
        raise SpaceError(f"speed {speed:g}; time compression goes from {least:g} to {most:g}")


def check_context(context: str, *, window_s: float, margin_s: float, floor_s: float) -> None:
    """Refuse an unknown context, and lengths above the trained one."""
    if context not in {"full", "fit"}:
        raise SpaceError(f"unknown context '{context}'; known ones: full, fit")
    if not 0 < window_s <= TRAINED_CONTEXT_S:
        raise SpaceError(
            f"window_s {window_s:g}; a window is above 0 s and at most the trained {TRAINED_CONTEXT_S:g} s"
        )
    for name, value in (("margin_s", margin_s), ("floor_s", floor_s)):
        if not 0 <= value <= TRAINED_CONTEXT_S:
            raise SpaceError(f"{name} {value:g}; it goes from 0 s to the trained {TRAINED_CONTEXT_S:g} s")


def check_tail_rule(tail: str) -> None:
    """Refuse a tail that is no rule."""
    if not re.match(TAIL_PATTERN, tail):
        raise SpaceError(f"tail '{tail}'; write none, all, every-N (N from 2), last-N or learned-N")


def check_tail(dims: WhisperDimensions, frames: int, tail_tokens: int) -> None:
    """Refuse a tail that is negative, or reaches beyond the positions that the decoder was trained on."""
    room = dims.n_audio_ctx - frames // FRAMES_PER_AUDIO_TOKEN
    if not 0 <= tail_tokens <= room:
        raise SpaceError(f"a tail of {tail_tokens} audio tokens behind {frames} frames; it goes from 0 to {room}")


def check_classes(classes: int) -> None:
    """Refuse a head that has nothing to decide."""
    if classes < 2:
        raise SpaceError(f"{classes} classes; a head decides between at least 2")


def check_lora_rank(width: int, lora_rank: int) -> None:
    """Refuse a rank below 0 or above the width, where a low-rank update is no longer one."""
    if not 0 <= lora_rank <= width:
        raise SpaceError(f"lora_rank {lora_rank}; it goes from 0 (none) to the encoder's width, {width}")


def check_unfrozen_layers(layers: int, unfrozen_layers: int) -> None:
    """Refuse a negative count, and more layers than the encoder has."""
    if not 0 <= unfrozen_layers <= layers:
        raise SpaceError(f"unfrozen_layers {unfrozen_layers}; the encoder has {layers} layers")
