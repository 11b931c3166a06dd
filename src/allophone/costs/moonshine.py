"""FLOPs and bytes of Moonshine in closed form (arXiv 2410.15608; ``modeling_moonshine.py`` in transformers).

Counted as in ``formulas``: matrix products and convolutions, 2 FLOPs a multiply-accumulate. Beams run as Whisper's do:
the first step once, every later one and its head row ``beam_size`` times.

Symbols: ``d`` width, ``f`` feed-forward width, ``n`` layers, ``A`` audio tokens, ``S`` positions that the decoder sees,
``G`` generated tokens, ``B`` beams, ``V`` vocabulary. The prompt is one token.
"""

from __future__ import annotations

from collections.abc import Sequence

from allophone.costs.executed import WhisperFlops
from allophone.costs.formulas import FLOPS_PER_MAC, strided_positions
from allophone.costs.limits import check_beam, check_stride, check_text_tokens, check_windows
from allophone.costs.weights import ACTIVATION_BYTES, WhisperWeights
from allophone.dimensions.moonshine import MoonshineDimensions
from allophone.errors import SpaceError

__all__ = [
    "moonshine_flops",
    "moonshine_kv_cache_bytes",
    "moonshine_parameters",
    "moonshine_weight_bytes",
    "moonshine_weights",
]

PROMPT_TOKENS = 1  # start of transcript


def moonshine_flops(
    dims: MoonshineDimensions,
    *,
    window_frames: Sequence[int],
    window_tokens: Sequence[int],
    token_stride: int = 1,
    beam_size: int = 1,
) -> WhisperFlops:
    """Count what one utterance executed.

    Args:
        dims: The model.
        window_frames: 10 ms frames of audio that the encoder ran on, one per window.
        window_tokens: Text tokens generated, end-of-text included, one per window; 0 where the decoder never started.
        token_stride: Every n-th audio token reaches the decoder.
        beam_size: Beams of the decoder.

    Raises:
        SpaceError: Lists of unequal length, or a knob outside the model's limits.
    """
    check_windows(window_frames, window_tokens)
    check_stride(token_stride)
    check_beam(beam_size)
    parts = [0, 0, 0, 0, 0]
    for frames, text_tokens in zip(window_frames, window_tokens, strict=True):
        _check_window(dims, frames, text_tokens)
        tokens = dims.audio_tokens(frames)
        window = [stem_flops(dims, frames), encoder_flops(dims, tokens), 0, 0, 0]
        if text_tokens:
            positions = strided_positions(tokens, token_stride)
            window[2] = dims.n_text_layer * 2 * FLOPS_PER_MAC * dims.n_audio_state * dims.n_text_state * positions
            window[3] = decoder_flops(dims, text_tokens, positions, beam_size)
            window[4] = FLOPS_PER_MAC * dims.n_text_state * dims.n_vocab * (1 + beam_size * (text_tokens - 1))
        parts = [total + part for total, part in zip(parts, window, strict=True)]
    return WhisperFlops(*parts)


def stem_flops(dims: MoonshineDimensions, frames: int) -> int:
    """Three convolutions on samples: ``Σ 2·k·c_in·c_out·L_out``."""
    channels = (1, *dims.conv_dim)
    layers = zip(dims.conv_kernel, channels, channels[1:], dims.conv_lengths(frames), strict=False)
    return sum(FLOPS_PER_MAC * kernel * c_in * c_out * length for kernel, c_in, c_out, length in layers)


def encoder_flops(dims: MoonshineDimensions, tokens: int) -> int:
    """Self-attention over all audio tokens and a feed-forward part: ``n·(8·d²·A + 4·d·f·A + 4·d·A²)``."""
    d = dims.n_audio_state
    products = 4 * d * d + 2 * d * dims.n_ffn
    return dims.n_audio_layer * FLOPS_PER_MAC * (products * tokens + 2 * d * tokens * tokens)


def decoder_flops(dims: MoonshineDimensions, text_tokens: int, positions: int, beam_size: int) -> int:
    """The first step once, each later one for all beams: ``n·Σ_{j=1}^{G} b_j·(12·d² + 6·d·f + 4·d·(j + S))``.

    ``b_1 = 1``, then ``B``. Self-attention ``8d²``, cross query and output ``4d²``, the gated feed-forward part
    ``d`` to ``2f`` and ``f`` to ``d``; step ``j`` attends to ``j`` text keys, itself included, and ``S`` audio keys.
    """
    d, steps = dims.n_text_state, text_tokens - 1
    row = FLOPS_PER_MAC * (6 * d * d + 3 * d * dims.n_ffn + 2 * d * positions)
    key = 2 * FLOPS_PER_MAC * d
    later = steps * row + key * (text_tokens * (text_tokens + 1) // 2 - 1)
    return dims.n_text_layer * (row + key + beam_size * later)


def moonshine_parameters(dims: MoonshineDimensions) -> int:
    """Parameters; embedding and head are one matrix. Attention and norms have no biases, the first convolution none."""
    return sum(part.matrix_entries + part.float_entries for part in _parts(dims).values())


def moonshine_weights(dims: MoonshineDimensions) -> dict[str, WhisperWeights]:
    """Return the make-up of ``encoder``, ``decoder``, ``vocabulary`` (the head) and ``embedding``.

    The published ONNX files quantise every matrix as a whole and keep the vocabulary twice: as rows to look up and
    transposed to multiply.
    """
    parts = _parts(dims)
    return {**parts, "embedding": parts["vocabulary"]}


def moonshine_weight_bytes(dims: MoonshineDimensions) -> int:
    """Return bytes of the published int8 files' weights; scales, one a matrix, are left out."""
    return sum(part.stored_bytes("int8") for part in moonshine_weights(dims).values())


def moonshine_kv_cache_bytes(
    dims: MoonshineDimensions, *, frames: int, text_tokens: int, token_stride: int = 1, beam_size: int = 1
) -> int:
    """Return bytes of float32 keys and values at the last step: ``2·n·d·B·(G + S)`` entries.

    Every beam has its own copy of the audio's, since a batch has one of each; none where the decoder never started.
    """
    _check_window(dims, frames, text_tokens)
    if text_tokens == 0:
        return 0
    positions = strided_positions(dims.audio_tokens(frames), token_stride)
    entries = 2 * dims.n_text_layer * dims.n_text_state * beam_size * (text_tokens + positions)
    return ACTIVATION_BYTES["float32"] * entries


def _parts(dims: MoonshineDimensions) -> dict[str, WhisperWeights]:
    d, w, f = dims.n_audio_state, dims.n_text_state, dims.n_ffn
    channels = (1, *dims.conv_dim)
    taps = zip(dims.conv_kernel, channels, channels[1:], strict=False)
    # Biases of all convolutions but the first; scale and shift of the group norm; the last norm.
    stem = sum(kernel * c_in * c_out for kernel, c_in, c_out in taps) + sum(dims.conv_dim[1:]) + 2 * d + d
    layer, text = 4 * d * d + 2 * d * f, 8 * w * w + 3 * w * f
    n, m = dims.n_audio_layer, dims.n_text_layer
    return {
        "encoder": WhisperWeights(6 * n, 0, n * layer, stem + n * (f + d + 2 * d)),
        "decoder": WhisperWeights(10 * m, 0, m * text, m * (2 * f + w + 3 * w) + w),
        "vocabulary": WhisperWeights(1, 0, dims.n_vocab * w, 0),
    }


def _check_window(dims: MoonshineDimensions, frames: int, text_tokens: int) -> None:
    if frames < 1:
        raise SpaceError(f"{frames} frames of audio in a window; give 1 or more")
    check_text_tokens(dims, text_tokens, PROMPT_TOKENS)
