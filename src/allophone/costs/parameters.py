"""Parameter counts as closed forms of the dimensions.

The count is that of ``transformers``: embedding and vocabulary head are one matrix, both position tables are counted
(the encoder's is fixed sinusoids, which openai/whisper keeps outside its parameters).
"""

from __future__ import annotations

from math import prod

from allophone.costs.formulas import CONV_KERNEL, MLP_RATIO
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import WhisperDimensions

__all__ = [
    "attention_parameters",
    "feed_forward_parameters",
    "model_parameters",
    "norm_parameters",
    "speech_encoder_parameters",
    "speech_layer_parameters",
    "whisper_encoder_parameters",
    "whisper_layer_parameters",
    "whisper_parameters",
]


def norm_parameters(width: int) -> int:
    """Scale and shift of one normalisation: ``2·d``."""
    return 2 * width


def attention_parameters(width: int, *, key_bias: bool) -> int:
    """Query, key, value and output projections, with biases: ``4·d² + 4·d``, or ``3·d`` biases where keys have none.

    Whisper's keys have none (``MultiHeadAttention`` in openai/whisper ``model.py``); wav2vec 2.0's have.
    """
    return 4 * width * width + (4 if key_bias else 3) * width


def feed_forward_parameters(width: int, hidden: int) -> int:
    """Two projections with biases: ``2·d·f + f + d``."""
    return 2 * width * hidden + hidden + width


def whisper_layer_parameters(width: int, *, cross: bool) -> int:
    """One layer of the encoder, or of the decoder when ``cross``: each part has its own normalisation before it."""
    attention = attention_parameters(width, key_bias=False) + norm_parameters(width)
    feed_forward = feed_forward_parameters(width, MLP_RATIO * width) + norm_parameters(width)
    return (2 if cross else 1) * attention + feed_forward


def whisper_encoder_parameters(dims: WhisperDimensions) -> int:
    """Stem, position table, layers and the last normalisation."""
    d = dims.n_audio_state
    stem = CONV_KERNEL * dims.n_mels * d + d + CONV_KERNEL * d * d + d
    layers = dims.n_audio_layer * whisper_layer_parameters(d, cross=False)
    return stem + dims.n_audio_ctx * d + layers + norm_parameters(d)


def whisper_parameters(dims: WhisperDimensions) -> int:
    """Encoder and decoder; the vocabulary head is the embedding, counted once."""
    d = dims.n_text_state
    layers = dims.n_text_layer * whisper_layer_parameters(d, cross=True)
    decoder = dims.n_vocab * d + dims.n_text_ctx * d + layers + norm_parameters(d)
    return whisper_encoder_parameters(dims) + decoder


def speech_layer_parameters(dims: SpeechEncoderDimensions) -> int:
    """One layer: attention, feed-forward, two normalisations, and in WavLM the gate of the relative position bias.

    The gate is one projection of a head to 8 numbers with bias, shared by the heads, and one constant a head
    (``WavLMAttention`` in transformers ``modeling_wavlm.py``; arXiv 2110.13900, section 3.1).
    """
    d = dims.hidden_size
    shared = attention_parameters(d, key_bias=True) + feed_forward_parameters(d, dims.intermediate_size)
    gate = 8 * (d // dims.num_attention_heads) + 8 + dims.num_attention_heads if dims.num_buckets else 0
    return shared + 2 * norm_parameters(d) + gate


def speech_encoder_parameters(dims: SpeechEncoderDimensions) -> int:
    """Front end, projection, position convolution, layers, mask embedding, and WavLM's position buckets.

    The position convolution is stored under weight normalisation: direction, one length a tap, bias. Source:
    ``Wav2Vec2Model`` in transformers ``modeling_wav2vec2.py``.
    """
    d = dims.hidden_size
    channels = (1, *dims.conv_dim)
    front_end = sum(map(prod, zip(channels, channels[1:], dims.conv_kernel, strict=False)))
    front_end += sum(dims.conv_dim) if dims.conv_bias else 0
    normed = dims.conv_dim if dims.feat_extract_norm == "layer" else dims.conv_dim[:1]
    front_end += sum(map(norm_parameters, normed))
    last = dims.conv_dim[-1]
    projection = norm_parameters(last) + last * d + d
    taps = dims.num_conv_pos_embeddings
    position = d * (d // dims.num_conv_pos_embedding_groups) * taps + taps + d
    buckets = dims.num_buckets * dims.num_attention_heads
    layers = dims.num_hidden_layers * speech_layer_parameters(dims)
    mask_embedding = d
    return front_end + projection + position + mask_embedding + norm_parameters(d) + buckets + layers


def model_parameters(dims: WhisperDimensions | SpeechEncoderDimensions) -> int:
    """Parameters of any model in the dimensions tables."""
    if isinstance(dims, WhisperDimensions):
        return whisper_parameters(dims)
    return speech_encoder_parameters(dims)
