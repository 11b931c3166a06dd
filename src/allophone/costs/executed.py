"""The ``executed`` convention for Whisper: what one utterance really ran, window by window.

Undefined cases, decided here. No windows (no speech was found): every part is 0. A window with 0 text tokens: the
encoder ran and the decoder was never started, so stem and encoder are billed and nothing else. An empty prompt with a
started decoder cannot run, since the first token would follow from nothing: an error.

Windows of long audio and re-runs after a rejected transcript are further entries of ``window_frames`` and
``window_tokens``. Beams are billed as CTranslate2 runs them on a CPU: the prompt and the first step once, cross keys
and values once, every later step and head row ``beam_size`` times. ``window_tokens`` is then the number of steps
taken; beam search goes on until ``beam_size`` hypotheses have ended, so the length of the best one is a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allophone.costs.formulas import (
    FLOPS_PER_MAC,
    Count,
    audio_tokens,
    cross_kv_flops,
    decoder_flops,
    encoder_flops,
    head_flops,
    stem_flops,
    strided_positions,
)
from allophone.costs.limits import (
    check_beam,
    check_frames,
    check_prompt,
    check_stride,
    check_tail,
    check_text_tokens,
    check_windows,
)
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, WhisperDimensions
from allophone.errors import SpaceError

__all__ = ["WhisperFlops", "WhisperFlopsArrays", "whisper_flops", "whisper_flops_arrays"]


@dataclass(frozen=True, slots=True)
class WhisperFlops:
    """FLOPs of one utterance by part, summed over its windows; exact integers.

    Args:
        stem: Convolutions before the encoder.
        encoder: Encoder layers.
        cross_kv: Keys and values of the audio for the decoder.
        decoder: Decoder layers, prompt and cached steps.
        head: Vocabulary projection.
    """

    stem: int
    encoder: int
    cross_kv: int
    decoder: int
    head: int

    @property
    def total(self) -> int:
        """All parts together."""
        return self.stem + self.encoder + self.cross_kv + self.decoder + self.head

    @property
    def macs_total(self) -> int:
        """Multiply-accumulates: half the FLOPs, exactly."""
        return self.total // FLOPS_PER_MAC


@dataclass(frozen=True, slots=True)
class WhisperFlopsArrays:
    """FLOPs of many one-window settings by part; every field is ``int64`` of the knobs' common shape."""

    stem: NDArray[np.int64]
    encoder: NDArray[np.int64]
    cross_kv: NDArray[np.int64]
    decoder: NDArray[np.int64]
    head: NDArray[np.int64]

    @property
    def total(self) -> NDArray[np.int64]:
        """All parts together, shape as the parts."""
        return self.stem + self.encoder + self.cross_kv + self.decoder + self.head


def whisper_flops(
    dims: WhisperDimensions,
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
        window_frames: Log-mel frames that the encoder ran on, per window; 0 where the decoder alone ran again over an
            earlier pass's encoder output, whose audio tokens then count as its tail.
        window_tokens: Text tokens generated, end-of-text included, one per window; 0 where the decoder never started.
        prompt_tokens: Tokens given to the decoder before the first generated one, the same for every window.
        window_tail: Silent audio tokens appended to the encoder's output, one per window; encoded once per model
            and cost the decoder only. None appends none.
        token_stride: Every n-th audio token reaches the decoder, the appended ones included.
        beam_size: Beams of the decoder.
        no_speech_prob: Whether the no-speech probability was read at the start-of-transcript token, as CTranslate2
            does on request (``return_no_speech_prob``): one more head row in every window that was decoded.

    Raises:
        SpaceError: Lists of unequal length, or a knob outside the model's limits; the message names the limit.
    """
    check_windows(window_frames, window_tokens)
    check_stride(token_stride)
    check_beam(beam_size)
    check_prompt(prompt_tokens, started=any(window_tokens))
    parts = [0, 0, 0, 0, 0]
    tails = window_tail if window_tail is not None else [0] * len(window_frames)
    if len(tails) != len(window_frames):
        raise SpaceError(f"{len(window_frames)} windows, {len(tails)} tails; give one number per window")
    for frames, tail, text_tokens in zip(window_frames, tails, window_tokens, strict=True):
        if frames or not tail:
            check_frames(dims, frames)
        check_tail(dims, frames, tail)
        check_text_tokens(dims, text_tokens, prompt_tokens)
        window = _window(
            dims,
            frames=frames,
            tail_tokens=tail,
            text_tokens=text_tokens,
            prompt_tokens=prompt_tokens,
            token_stride=token_stride,
            beam_size=beam_size,
            probe_rows=int(no_speech_prob),
        )
        parts = [total + part for total, part in zip(parts, window, strict=True)]
    return WhisperFlops(*parts)


def whisper_flops_arrays(
    dims: WhisperDimensions,
    *,
    frames: ArrayLike,
    text_tokens: ArrayLike,
    prompt_tokens: ArrayLike,
    tail_tokens: ArrayLike = 0,
    token_stride: ArrayLike = 1,
    beam_size: ArrayLike = 1,
    no_speech_prob: bool = False,
) -> WhisperFlopsArrays:
    """Count many settings at once, one window each: the same formulas on ``int64`` arrays, equal to the last digit.

    Args:
        dims: The model.
        frames: Log-mel frames; this and the next five broadcast against each other, integers of any shape.
        text_tokens: Generated text tokens, end-of-text included.
        prompt_tokens: Prompt tokens.
        tail_tokens: Silent audio tokens appended to the encoder's output.
        token_stride: Every n-th audio token reaches the decoder.
        beam_size: Beams of the decoder.
        no_speech_prob: As in ``whisper_flops``.

    Raises:
        SpaceError: Any entry outside the model's limits; the message names the limit and the worst entry.
    """
    knobs = (frames, text_tokens, prompt_tokens, tail_tokens, token_stride, beam_size)
    frame, text, prompt, tail, stride, beam = (_integers(knob) for knob in knobs)
    shape = np.broadcast_shapes(*(knob.shape for knob in (frame, text, prompt, tail, stride, beam)))
    if 0 not in shape:
        _check_arrays(dims, frame, text, prompt)
        frame_each, tail_each = (knob.ravel() for knob in np.broadcast_arrays(frame, tail))
        for worst in (int(np.argmin(tail_each)), int(np.argmax(frame_each + FRAMES_PER_AUDIO_TOKEN * tail_each))):
            check_tail(dims, int(frame_each[worst]), int(tail_each[worst]))
        check_stride(int(stride.min()))
        check_beam(int(beam.min()))
    parts = _window(
        dims,
        frames=frame,
        tail_tokens=tail,
        text_tokens=text,
        prompt_tokens=prompt,
        token_stride=stride,
        beam_size=beam,
        probe_rows=np.asarray(int(no_speech_prob), dtype=np.int64),
    )
    return WhisperFlopsArrays(*(np.broadcast_to(part, shape) for part in parts))


def _integers(knob: ArrayLike) -> NDArray[np.int64]:
    values = np.asarray(knob)
    if values.size and values.dtype.kind not in "iu":
        raise SpaceError(f"counts are integers; got {values.dtype}")
    return values.astype(np.int64, copy=False)


def _check_arrays(
    dims: WhisperDimensions, frames: NDArray[np.int64], text: NDArray[np.int64], prompt: NDArray[np.int64]
) -> None:
    for worst in (frames.min(), frames.max()):
        check_frames(dims, int(worst))
    check_text_tokens(dims, int(text.min()), 0)
    check_prompt(int(prompt.min()), started=bool(text.max() > 0))
    texts, prompts = (knob.ravel() for knob in np.broadcast_arrays(text, prompt))
    longest = int(np.argmax(np.where(texts > 0, texts + prompts, 0)))
    check_text_tokens(dims, int(texts[longest]), int(prompts[longest]))


def _window(
    dims: WhisperDimensions,
    *,
    frames: Count,
    tail_tokens: Count,
    text_tokens: Count,
    prompt_tokens: Count,
    token_stride: Count,
    beam_size: Count,
    probe_rows: Count,
) -> tuple[Count, Count, Count, Count, Count]:
    # Stem, encoder, cross_kv, decoder, head of one window.
    tokens = audio_tokens(frames)
    positions = strided_positions(tokens + tail_tokens, token_stride)
    started = (text_tokens > 0) * 1
    probe = FLOPS_PER_MAC * dims.n_text_state * dims.n_vocab * probe_rows
    return (
        stem_flops(dims, frames),
        encoder_flops(dims, tokens),
        started * cross_kv_flops(dims, positions),
        decoder_flops(dims, prompt_tokens, text_tokens, positions, beam_size),
        head_flops(dims, text_tokens, beam_size) + started * probe,
    )
