"""Bytes beside the weights: the decoder's cache, and the most that activations take at one moment.

Peaks are those of one window, in the engine's own order of allocation: ``ctranslate2`` (scores normalised in place) or
``eager`` (torch, every step a new tensor). The allocator's own book-keeping is left out: a C library that keeps freed
blocks shows more resident memory than was ever in use.

Symbols: ``d`` width, ``H`` heads, ``A`` audio tokens, ``S`` positions that the decoder sees, ``V`` vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from allophone.costs.formulas import CONV_KERNEL, audio_tokens, strided_positions
from allophone.costs.limits import (
    check_beam,
    check_compute_type,
    check_frames,
    check_prompt,
    check_stride,
    check_tail,
    check_text_tokens,
)
from allophone.costs.speech import conv_lengths
from allophone.costs.weights import ACTIVATION_BYTES
from allophone.dimensions import SpeechEncoderDimensions, WhisperDimensions

if TYPE_CHECKING:
    from allophone.records import ComputeType

__all__ = ["Engine", "kv_cache_bytes", "speech_peak_activation_bytes", "whisper_peak_activation_bytes"]

Engine = Literal["ctranslate2", "eager"]

FLOAT32_BYTES = 4


def kv_cache_bytes(
    dims: WhisperDimensions,
    *,
    frames: int,
    text_tokens: int,
    prompt_tokens: int,
    tail_tokens: int = 0,
    token_stride: int = 1,
    beam_size: int = 1,
    compute_type: ComputeType = "float32",
) -> int:
    """Return bytes of keys and values at the last step: ``2·n·d·(B·(P + G - 1) + S)`` entries.

    Every beam keeps its text, all beams share the audio (CTranslate2 leaves the audio out when it replicates the
    decoder's state). The last generated token is never fed back, so it has no keys.

    Args:
        dims: The model.
        frames: Log-mel frames of the window.
        text_tokens: Generated text tokens, end-of-text included; with 0 the decoder never started and has no cache.
        prompt_tokens: Prompt tokens.
        tail_tokens: Silent audio tokens appended to the encoder's output.
        token_stride: Every n-th audio token reaches the decoder.
        beam_size: Beams.
        compute_type: Number format; keys and values are kept in its float type.

    Raises:
        SpaceError: A knob outside the model's limits.
    """
    check_frames(dims, frames)
    check_tail(dims, frames, tail_tokens)
    check_stride(token_stride)
    check_beam(beam_size)
    check_prompt(prompt_tokens, started=text_tokens > 0)
    check_text_tokens(dims, text_tokens, prompt_tokens)
    check_compute_type(compute_type)
    if text_tokens == 0:
        return 0
    text = beam_size * (prompt_tokens + text_tokens - 1)
    audio = strided_positions(audio_tokens(frames) + tail_tokens, token_stride)
    return ACTIVATION_BYTES[compute_type] * 2 * dims.n_text_layer * dims.n_text_state * (text + audio)


def whisper_peak_activation_bytes(
    dims: WhisperDimensions,
    *,
    frames: int,
    beam_size: int = 1,
    compute_type: ComputeType = "float32",
    engine: Engine = "ctranslate2",
) -> int:
    """Return the most bytes of intermediate tensors at one moment of one window, weights and cache excluded.

    The largest of: the second convolution (its input, a copy in the kernel's layout, its output, the weights in that
    layout: ``5·A·d + 3·d²``); attention (scores of all heads, ``H·A²``, once in ``ctranslate2`` with nine tensors of
    ``A·d``, twice in ``eager`` with six); in ``eager`` the feed-forward part, during which the caller still holds the
    scores (``H·A² + 12·A·d``); and a decoder step (the encoder's output, logits and log-probabilities of every beam:
    ``A·d + 2·B·V``).

    Args:
        dims: The model.
        frames: Log-mel frames of the window.
        beam_size: Beams.
        compute_type: Number format; activations are kept in its float type.
        engine: Whose order of allocation.

    Raises:
        SpaceError: A knob outside the model's limits.
    """
    check_frames(dims, frames)
    check_beam(beam_size)
    check_compute_type(compute_type)
    tokens, d = audio_tokens(frames), dims.n_audio_state
    scores = dims.n_audio_head * tokens * tokens
    stem = 5 * tokens * d + CONV_KERNEL * d * d
    step = tokens * d + 2 * beam_size * dims.n_vocab
    if engine == "ctranslate2":
        layer = scores + 9 * tokens * d
    else:
        layer = max(2 * scores + 6 * tokens * d, scores + 12 * tokens * d)
    return ACTIVATION_BYTES[compute_type] * max(stem, layer, step)


def speech_peak_activation_bytes(dims: SpeechEncoderDimensions, samples: int) -> int:
    """Return the most bytes of intermediate float32 tensors at one moment, in torch's eager order.

    The largest of: the second convolution of the front end (its input and a copy in the kernel's layout, one more copy
    where every convolution is normalised, its output, its weights); the position convolution (its weights after weight
    normalisation, and seven tensors of ``A·d``); attention, ``2·H·A² + 7·A·d``, or ``4·H·A² + 7·A·d`` in WavLM, which
    keeps the position bias of the first layer and a gated copy; feed-forward, ``H·A² + 5·A·d + 2·A·f``.

    Args:
        dims: The model.
        samples: Audio samples at 16 kHz.

    Raises:
        SpaceError: Audio shorter than the front end.
    """
    lengths = conv_lengths(dims, samples)
    tokens, d = lengths[-1], dims.hidden_size
    held = 3 if dims.feat_extract_norm == "layer" else 2
    first, second = dims.conv_dim[:2]
    front_end = held * first * lengths[0] + second * lengths[1] + dims.conv_kernel[1] * first * second
    taps = d * (d // dims.num_conv_pos_embedding_groups) * dims.num_conv_pos_embeddings
    position = taps + 7 * tokens * d
    scores = dims.num_attention_heads * tokens * tokens
    attention = (4 if dims.num_buckets else 2) * scores + 7 * tokens * d
    feed_forward = scores + 5 * tokens * d + 2 * tokens * dims.intermediate_size
    return FLOAT32_BYTES * max(front_end, position, attention, feed_forward)
