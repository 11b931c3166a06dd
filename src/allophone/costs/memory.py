"""Memory beside the weights: the decoder's key-value cache, and the most that activations take at one moment.

Peaks are those of one window, in the order of allocation of CTranslate2 (recognition) or of torch's eager mode
(emotion). The allocator's own book-keeping is left out: a C library that keeps freed blocks shows more resident memory
than was ever in use; ``benchmarks/costs/peak_memory.py`` says how much.

Symbols: ``d`` width, ``n`` layers of the decoder, ``H`` heads, ``A`` audio tokens, ``T`` tail, ``S`` positions that the
decoder sees, ``B`` beams, ``V`` vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from allophone.costs.formulas import CONV_KERNEL, MLP_RATIO, audio_tokens, strided_positions
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
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import WhisperDimensions

if TYPE_CHECKING:
    from allophone.records.point import ComputeType

__all__ = [
    "eager_encoder_peak_bytes",
    "kv_cache_bytes",
    "speech_peak_activation_bytes",
    "whisper_peak_activation_bytes",
]

FLOAT32_BYTES = 4
INT32_BYTES = 4  # sums of quantised products
# Of one quantised number of a layer's input; CTranslate2 multiplies other formats as they are.
QUANTISED_BYTES: dict[str, int] = {
    "int8": 1,
    "int8_float32": 1,
    "int8_float16": 1,
    "int8_bfloat16": 1,
    "int16": 2,
}


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
    text_tokens: int,
    prompt_tokens: int,
    tail_tokens: int = 0,
    token_stride: int = 1,
    beam_size: int = 1,
    compute_type: ComputeType = "float32",
) -> int:
    """Return the most bytes beside the weights at one moment of one window in CTranslate2, keys and values included.

    The largest of two phases. The encoder (:func:`_encoder_peak_bytes`); and the decoder, which holds its input: the
    encoder's output, with a tail a copy of it with the tail behind (``(A + T)·d``), with a stride the positions kept,
    and CTranslate2's own copy, ``S·d``. On top of these come, whichever is more,

    - the audio's keys and values in the last layer's projection: those of all layers, ``2·n·d·S``, and as many as one
      layer's beside them before the heads are split, ``2·d·S``; quantised, ``2·d·S`` sums in int32 and the quantised
      input instead of that layer's own;
    - the last step: all keys and values (:func:`kv_cache_bytes`), logits and log-probabilities, ``2·B·V``.

    Behind a fit context with a whole tail ``S`` is what a full context has, so the decoder decides.

    Args:
        dims: The model.
        frames: Log-mel frames of the window.
        text_tokens: Generated text tokens, end-of-text included; with 0 the decoder never started.
        prompt_tokens: Prompt tokens.
        tail_tokens: Silent audio tokens appended to the encoder's output.
        token_stride: Every n-th audio token reaches the decoder.
        beam_size: Beams.
        compute_type: Number format; activations are kept in its float type.

    Raises:
        SpaceError: A knob outside the model's limits.
    """
    cache = kv_cache_bytes(
        dims,
        frames=frames,
        text_tokens=text_tokens,
        prompt_tokens=prompt_tokens,
        tail_tokens=tail_tokens,
        token_stride=token_stride,
        beam_size=beam_size,
        compute_type=compute_type,
    )
    encoder = _encoder_peak_bytes(dims, frames, compute_type)
    if text_tokens == 0:
        return encoder
    number, quantised = ACTIVATION_BYTES[compute_type], QUANTISED_BYTES.get(compute_type)
    tokens, d = audio_tokens(frames), dims.n_text_state
    positions = strided_positions(tokens + tail_tokens, token_stride)
    held = tokens + positions  # the encoder's output, and the decoder's own copy
    held += tokens + tail_tokens if tail_tokens else 0
    held += positions if token_stride > 1 else 0
    layer = 2 * number * d * positions
    unsplit = 2 * layer
    if quantised is not None:
        unsplit = max(unsplit, layer + 2 * INT32_BYTES * d * positions + quantised * d * positions)
    start = (dims.n_text_layer - 1) * layer + unsplit
    step = cache + 2 * number * beam_size * dims.n_vocab
    return max(encoder, number * d * held + max(start, step))


def _encoder_peak_bytes(dims: WhisperDimensions, frames: int, compute_type: ComputeType) -> int:
    """The largest of three moments of the encoder in CTranslate2.

    The second convolution: its input, unfolded (``3·A·d``), a copy of it in the kernel's layout, its output, and the
    weights in that layout, ``8·A·d + 3·d²``. Attention: scores of all heads, normalised in place, and nine tensors of
    ``A·d``. The feed-forward part: input, its normalisation, and the hidden numbers before and after their activation,
    ``10·A·d``; quantised, with their ``4·A·d`` sums in int32 and the quantised input.
    """
    number, quantised = ACTIVATION_BYTES[compute_type], QUANTISED_BYTES.get(compute_type)
    tokens, d = audio_tokens(frames), dims.n_audio_state
    stem = number * (8 * tokens * d + CONV_KERNEL * d * d)
    attention = number * (dims.n_audio_head * tokens * tokens + 9 * tokens * d)
    feed_forward = number * (2 + 2 * MLP_RATIO) * tokens * d
    if quantised is not None:
        feed_forward += (INT32_BYTES * MLP_RATIO + quantised) * tokens * d
    return max(stem, attention, feed_forward)


def eager_encoder_peak_bytes(dims: WhisperDimensions, frames: int) -> int:
    """Return the most bytes of float32 tensors at one moment of Whisper's encoder in torch's eager order.

    The largest of: the second convolution (its input, a copy in the kernel's layout, its output, the weights in that
    layout: ``5·A·d + 3·d²``); attention, ``2·H·A² + 6·A·d``; and the feed-forward part, during which the caller still
    holds the scores, ``H·A² + 12·A·d``.

    Args:
        dims: The model.
        frames: Log-mel frames.

    Raises:
        SpaceError: More frames than the trained context, or none.
    """
    check_frames(dims, frames)
    tokens, d = audio_tokens(frames), dims.n_audio_state
    scores = dims.n_audio_head * tokens * tokens
    stem = 5 * tokens * d + CONV_KERNEL * d * d
    return FLOAT32_BYTES * max(stem, 2 * scores + 6 * tokens * d, scores + 12 * tokens * d)


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
