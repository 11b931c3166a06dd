"""Dimensions of speech encoders on raw samples (wav2vec 2.0, HuBERT, WavLM): one sourced row per model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from allophone.dimensions.whisper import WHISPER_MODELS, WhisperDimensions
from allophone.errors import UnknownModelError
from allophone.look_up import look_up

__all__ = ["SPEECH_ENCODERS", "SpeechEncoderDimensions", "dimensions", "speech_encoder_dimensions"]


@dataclass(frozen=True, slots=True)
class SpeechEncoderDimensions:
    """Dimensions of one encoder on raw samples (wav2vec 2.0, HuBERT, WavLM), in the names of ``transformers``.

    Args:
        conv_dim: channels of each convolution of the front end; the first one reads one channel of samples.
        conv_kernel: samples or positions under each convolution.
        conv_stride: step of each convolution; their product is the samples of one audio token.
        conv_bias: whether the convolutions have a bias.
        feat_extract_norm: ``group``: a norm after the first convolution; ``layer``: one after every convolution.
        hidden_size: width of the encoder.
        intermediate_size: width of its feed-forward part.
        num_hidden_layers: layers.
        num_attention_heads: attention heads.
        num_conv_pos_embeddings: kernel of the convolution that encodes position.
        num_conv_pos_embedding_groups: its groups.
        num_buckets: buckets of the gated relative position bias, 0 without one (only WavLM has it).
        stable_layer_norm: whether layers normalise before attention and feed-forward, not after.
    """

    conv_dim: tuple[int, ...]
    conv_kernel: tuple[int, ...]
    conv_stride: tuple[int, ...]
    conv_bias: bool
    feat_extract_norm: Literal["group", "layer"]
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_conv_pos_embeddings: int
    num_conv_pos_embedding_groups: int
    num_buckets: int
    stable_layer_norm: bool


def _speech_encoder(
    *, large: bool, norm: Literal["group", "layer"] = "group", conv_bias: bool = False, num_buckets: int = 0
) -> SpeechEncoderDimensions:
    # All of them share the front end of wav2vec 2.0 (arXiv 2006.11477, section 4.2): 320 samples an audio token. Those
    # with a norm after every convolution are also those that normalise before each part of a layer.
    return SpeechEncoderDimensions(
        conv_dim=(512,) * 7,
        conv_kernel=(10, 3, 3, 3, 3, 2, 2),
        conv_stride=(5, 2, 2, 2, 2, 2, 2),
        conv_bias=conv_bias,
        feat_extract_norm=norm,
        hidden_size=1024 if large else 768,
        intermediate_size=4096 if large else 3072,
        num_hidden_layers=24 if large else 12,
        num_attention_heads=16 if large else 12,
        num_conv_pos_embeddings=128,
        num_conv_pos_embedding_groups=16,
        num_buckets=num_buckets,
        stable_layer_norm=norm == "layer",
    )


# Source: config.json of each checkpoint on the Hugging Face hub: facebook/wav2vec2-base, -large, -large-robust,
# facebook/hubert-base-ls960, -large-ll60k, microsoft/wavlm-base, -base-plus, -large.
SPEECH_ENCODERS: dict[str, SpeechEncoderDimensions] = {
    "wav2vec2-base": _speech_encoder(large=False),
    "wav2vec2-large": _speech_encoder(large=True),
    "wav2vec2-large-robust": _speech_encoder(large=True, norm="layer", conv_bias=True),
    "hubert-base": _speech_encoder(large=False),
    "hubert-large": _speech_encoder(large=True, norm="layer", conv_bias=True),
    "wavlm-base": _speech_encoder(large=False, num_buckets=320),
    "wavlm-base-plus": _speech_encoder(large=False, num_buckets=320),
    "wavlm-large": _speech_encoder(large=True, norm="layer", num_buckets=320),
}


def speech_encoder_dimensions(name: str) -> SpeechEncoderDimensions:
    """Return the dimensions of the encoder on raw samples called ``name``.

    Raises:
        UnknownModelError: The name is not in the table; the message lists the known ones.
    """
    return look_up(SPEECH_ENCODERS, name, "speech encoder", "ones", UnknownModelError)


def dimensions(name: str) -> WhisperDimensions | SpeechEncoderDimensions:
    """Return the dimensions of any model in the tables.

    Raises:
        UnknownModelError: The name is in neither table; the message lists the known ones.
    """
    models: dict[str, WhisperDimensions | SpeechEncoderDimensions] = {**WHISPER_MODELS, **SPEECH_ENCODERS}
    return look_up(models, name, "model", "models", UnknownModelError)
