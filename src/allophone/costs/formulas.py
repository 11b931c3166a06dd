"""FLOP formulas of Whisper, one function per part: 2 FLOPs for every multiply-accumulate.

Counted are matrix products and convolutions, padding included, as the kernels run them. Bias, layer norm, softmax,
activation, embedding look-up and log-mel are not counted: they grow with the width where the products grow with its
square.

Every formula is built from ``+ - * //`` alone, so one body serves Python integers (exact at any size) and numpy
``int64`` arrays (exact below 2**63) and the two agree to the last digit.

Symbols: ``d`` width, ``n`` layers, ``T`` log-mel frames, ``A`` audio tokens, ``S`` positions that the decoder sees,
``P`` prompt tokens, ``G`` generated tokens, ``B`` beams.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, WhisperDimensions

__all__ = [
    "CONV_KERNEL",
    "FLOPS_PER_MAC",
    "MLP_RATIO",
    "Count",
    "audio_tokens",
    "ceil_divide",
    "cross_kv_flops",
    "decoder_flops",
    "encoder_flops",
    "head_flops",
    "prompt_flops",
    "stem_flops",
    "step_flops",
    "strided_positions",
]

FLOPS_PER_MAC = 2
CONV_KERNEL = 3  # frames under both convolutions of the stem
MLP_RATIO = 4  # hidden width of the feed-forward part over d, in every Whisper

Count = TypeVar("Count", int, NDArray[np.int64])
"""A Python integer, or an ``int64`` array of any shape; all counts of one call are of the same kind."""


def ceil_divide(count: Count, by: Count) -> Count:
    """Divide and round up, in integers."""
    return -(-count // by)


def audio_tokens(frames: Count) -> Count:
    """Return encoder positions for log-mel frames: the second convolution of the stem has stride 2 and padding 1."""
    return -(-frames // FRAMES_PER_AUDIO_TOKEN)


def strided_positions(tokens: Count, token_stride: Count) -> Count:
    """Return how many audio tokens reach the decoder when every ``token_stride``-th is kept, the first included."""
    return ceil_divide(tokens, token_stride)


def stem_flops(dims: WhisperDimensions, frames: Count) -> Count:
    """Two convolutions: mel channels to width at every frame, width to width at every second one.

    ``2·3·m·d·T + 2·3·d²·A``. Source: ``AudioEncoder.conv1``, ``conv2`` in openai/whisper ``model.py``.
    """
    d = dims.n_audio_state
    per_frame = FLOPS_PER_MAC * CONV_KERNEL * dims.n_mels * d
    per_token = FLOPS_PER_MAC * CONV_KERNEL * d * d
    return per_frame * frames + per_token * audio_tokens(frames)


def encoder_flops(dims: WhisperDimensions, tokens: Count) -> Count:
    """Self-attention over all audio tokens and a feed-forward part, in every layer.

    ``n·(24·d²·A + 4·d·A²)``: query, key, value and output projections ``8d²A``; feed-forward ``16d²A``; scores and
    weighted values ``2dA²`` each. Source: ``ResidualAttentionBlock`` in openai/whisper ``model.py``.
    """
    d = dims.n_audio_state
    projections = 4 * FLOPS_PER_MAC * d * d
    feed_forward = 2 * FLOPS_PER_MAC * MLP_RATIO * d * d
    attention = 2 * FLOPS_PER_MAC * d
    return dims.n_audio_layer * ((projections + feed_forward) * tokens + attention * tokens * tokens)


def cross_kv_flops(dims: WhisperDimensions, positions: Count) -> Count:
    """Keys and values of the audio for every decoder layer, once per window: ``n·4·d²·S``.

    Source: ``MultiHeadAttention.forward`` with ``kv_cache`` in openai/whisper ``model.py``; CTranslate2 keeps one copy
    for all beams (``src/layers/attention.cc``).
    """
    return dims.n_text_layer * 2 * FLOPS_PER_MAC * dims.n_audio_state * dims.n_text_state * positions


def _row_flops(dims: WhisperDimensions, keys: Count, positions: Count) -> Count:
    # One token through every decoder layer: 28d² + 4d(keys + S). Self-attention projections 8d², cross-attention
    # query and output 4d², feed-forward 16d²; scores and weighted values over text keys and over audio positions.
    d = dims.n_text_state
    products = (4 + 2 + 2 * MLP_RATIO) * FLOPS_PER_MAC * d * d
    attention = 2 * FLOPS_PER_MAC * d
    return dims.n_text_layer * (products + attention * (keys + positions))


def prompt_flops(dims: WhisperDimensions, prompt_tokens: Count, positions: Count) -> Count:
    """The prompt in one pass, every token against all of it: ``n·P·(28d² + 4d(P + S))``.

    The causal mask hides scores after they are computed, so masked pairs are executed and counted.
    """
    return prompt_tokens * _row_flops(dims, prompt_tokens, positions)


def step_flops(dims: WhisperDimensions, prompt_tokens: Count, text_tokens: Count, positions: Count) -> Count:
    """The cached steps of one beam: token ``j`` of ``G - 1`` attends to ``P + j`` keys, itself included.

    ``n·Σ_{j=1}^{G-1} (28d² + 4d(P + j + S)) = (G-1)·row(P) + n·4d·G(G-1)/2``. The last generated token (end-of-text,
    or the one at the cap) is not fed back.
    """
    steps = text_tokens - 1
    growth = dims.n_text_layer * FLOPS_PER_MAC * dims.n_text_state * text_tokens * steps  # 4d · G(G-1)/2
    return steps * _row_flops(dims, prompt_tokens, positions) + growth


def decoder_flops(
    dims: WhisperDimensions, prompt_tokens: Count, text_tokens: Count, positions: Count, beam_size: Count
) -> Count:
    """Prompt once, then every cached step for all beams; no step where the decoder was not started (``G = 0``).

    CTranslate2 runs the prompt and the first step unexpanded and replicates the state afterwards on the CPU
    (``BeamSearch::search`` in ``src/decoding.cc``); from then on all ``B`` rows run, finished ones being replaced.
    """
    started = (text_tokens > 0) * 1
    prompt = prompt_flops(dims, prompt_tokens, positions)
    return started * (prompt + beam_size * step_flops(dims, prompt_tokens, text_tokens, positions))


def head_flops(dims: WhisperDimensions, text_tokens: Count, beam_size: Count) -> Count:
    """The vocabulary projection: one row for the first token, one per beam for each later one; ``2·d·V`` a row."""
    started = (text_tokens > 0) * 1
    rows = started * (1 + beam_size * (text_tokens - 1))
    return FLOPS_PER_MAC * dims.n_text_state * dims.n_vocab * rows
