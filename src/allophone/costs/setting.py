"""Costs of Whisper: one setting of the knobs to one record of everything that it costs, by convention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from allophone.audio.mel import window_frames
from allophone.audio.tail import tail_positions
from allophone.costs.executed import whisper_flops
from allophone.costs.formulas import FLOPS_PER_MAC
from allophone.costs.limits import check_audio, check_context, check_speed, check_tail_rule
from allophone.costs.memory import kv_cache_bytes, whisper_peak_activation_bytes
from allophone.costs.parameters import whisper_parameters
from allophone.costs.published import published_recognition_flops
from allophone.costs.weights import weight_bytes
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.dimensions.whisper import (
    FRAMES_PER_AUDIO_TOKEN,
    HOP_SAMPLES,
    SAMPLE_RATE,
    TRAINED_CONTEXT_S,
    WhisperDimensions,
    prompt_names,
)
from allophone.errors import SpaceError

if TYPE_CHECKING:
    from allophone.records.point import ComputeType, Context

__all__ = [
    "Convention",
    "RecognitionCost",
    "WhisperCost",
    "check_convention",
    "plan_window_frames",
    "whisper_cost",
    "window_tails",
]

Convention = Literal["executed", "published"]
SAMPLES_PER_TOKEN = HOP_SAMPLES * FRAMES_PER_AUDIO_TOKEN  # 320


@dataclass(frozen=True, slots=True)
class RecognitionCost:
    """What transcribing one recording costs at one setting. FLOPs are counts, sizes are bytes.

    Args:
        convention: How FLOPs are counted; parameters and bytes are the same under both.
        window_frames: Frames of 10 ms that the encoder runs on, one per window.
        window_tokens: Text tokens generated, one per window.
        flops_stem: Convolutions before the encoder; 0 under ``published``, which leaves them out.
        flops_encoder: Encoder layers.
        flops_cross_kv: Keys and values of the audio; 0 under ``published``, which bills them inside the decoder.
        flops_decoder: Decoder layers.
        flops_head: Vocabulary projection; 0 under ``published``.
        params: Parameters of the model.
        weight_bytes: Weights in memory, one copy.
        kv_cache_bytes: Keys and values at the last step of the largest window.
    """

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


@dataclass(frozen=True, slots=True)
class WhisperCost(RecognitionCost):
    """What it costs in Whisper, which can append a silence tail.

    Args:
        window_tail: Silent audio tokens appended for the decoder, one per window.
        peak_activation_bytes: Most beside the weights at one moment of the largest window, keys and values included.
    """

    window_tail: tuple[int, ...]
    peak_activation_bytes: int


def check_convention(convention: str) -> None:
    """Refuse an unknown convention.

    Raises:
        SpaceError: The message names the known ones.
    """
    if convention not in get_args(Convention):
        raise SpaceError(f"unknown convention '{convention}'; known ones: {', '.join(get_args(Convention))}")


def plan_window_frames(
    audio_s: float,
    *,
    window_s: float = TRAINED_CONTEXT_S,
    context: Context = "full",
    margin_s: float = 0.0,
    floor_s: float = 0.0,
    speed: float = 1.0,
) -> tuple[int, ...]:
    """Return the log-mel frames of every window of a recording without pauses: whole windows, then the rest.

    The audio is compressed by ``speed`` first. A ``full`` context is 3000 frames whatever the window holds; ``fit`` is
    the window's audio plus ``margin_s``, at least ``floor_s``, at most 3000, in whole audio tokens of 320 samples.
    A recording of 0 s has no windows.

    Raises:
        SpaceError: A length or speed outside its limits; the message names them.
    """
    check_audio(audio_s)
    check_speed(speed)
    check_context(context, window_s=window_s, margin_s=margin_s, floor_s=floor_s)
    remaining = round(audio_s / speed * SAMPLE_RATE)
    longest = max(1, int(window_s * SAMPLE_RATE))
    frames = []
    while remaining > 0:
        samples = min(remaining, longest)
        remaining -= samples
        frames.append(window_frames(samples, context=context, margin_s=margin_s, floor_s=floor_s))
    return tuple(frames)


def window_tails(dims: RecognitionDimensions, frames: Sequence[int], *, context: Context, tail: str) -> tuple[int, ...]:
    """Return the silent audio tokens appended to each window; a full context has no room for any."""
    check_tail_rule(tail)
    if context == "full":
        return (0,) * len(frames)
    return tuple(len(tail_positions(window, tail, dims.n_audio_ctx)) for window in frames)


def whisper_cost(
    dims: WhisperDimensions,
    *,
    audio_s: float = TRAINED_CONTEXT_S,
    window_s: float = TRAINED_CONTEXT_S,
    context: Context = "full",
    margin_s: float = 0.0,
    floor_s: float = 0.0,
    tail: str = "none",
    speed: float = 1.0,
    token_stride: int = 1,
    beam_size: int = 1,
    text_tokens: int = 20,
    prompt_tokens: int | None = None,
    compute_type: ComputeType = "int8",
    convention: Convention = "executed",
) -> WhisperCost:
    """Return what transcribing one recording costs.

    Args:
        dims: The model.
        audio_s: Seconds of audio.
        window_s: Seconds of audio in one encoder pass.
        context: ``full`` pads every window to 30 s, ``fit`` runs on the audio it holds.
        margin_s: Seconds of silence after the audio, in a fit context.
        floor_s: Least seconds that the encoder runs on, in a fit context.
        tail: Silent positions that the decoder sees after a fit context, as in ``OperatingPoint``.
        speed: Time compression before everything else.
        token_stride: Every n-th audio token reaches the decoder.
        beam_size: Beams of the decoder.
        text_tokens: Tokens generated in each window, end-of-text included.
        prompt_tokens: Tokens given to the decoder before the first generated one; None takes the engine's prompt.
        compute_type: Number format.
        convention: ``executed``, or ``published`` as in arXiv 2606.22790.

    Raises:
        SpaceError: A knob outside its limits; the message names them.
    """
    check_convention(convention)
    frames = plan_window_frames(
        audio_s, window_s=window_s, context=context, margin_s=margin_s, floor_s=floor_s, speed=speed
    )
    tokens = (text_tokens,) * len(frames)
    tails = window_tails(dims, frames, context=context, tail=tail)
    if prompt_tokens is None:
        prompt_tokens = len(prompt_names(dims, "en"))
    executed = whisper_flops(
        dims,
        window_frames=frames,
        window_tail=tails,
        window_tokens=tokens,
        prompt_tokens=prompt_tokens,
        token_stride=token_stride,
        beam_size=beam_size,
        no_speech_prob=True,  # engines read it in every window
    )
    parts = (executed.stem, executed.encoder, executed.cross_kv, executed.decoder, executed.head)
    if convention == "published":
        billed = published_recognition_flops(
            dims, window_frames=frames, window_tokens=tokens, token_stride=token_stride
        )
        parts = (0, billed.encoder, 0, round(billed.decoder), 0)
    largest = max(frames, default=0)
    cache = peak = 0
    if largest:
        knobs = {
            "frames": largest,
            "tail_tokens": tails[frames.index(largest)],
            "text_tokens": text_tokens,
            "prompt_tokens": prompt_tokens,
            "token_stride": token_stride,
            "beam_size": beam_size,
        }
        cache = kv_cache_bytes(dims, **knobs, compute_type=compute_type)
        peak = whisper_peak_activation_bytes(dims, **knobs, compute_type=compute_type)
    return WhisperCost(
        convention,
        frames,
        tokens,
        *parts,
        whisper_parameters(dims),
        weight_bytes(dims, compute_type),
        cache,
        tails,
        peak,
    )
