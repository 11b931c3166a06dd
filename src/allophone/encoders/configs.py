"""Configurations of the speech encoders that emotion recognition runs: from our dimensions and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import WhisperDimensions
from allophone.errors import UnknownModelError

__all__ = ["Family", "build_encoder", "encoder_dimensions", "family_of", "quiet_transformers"]

Family = Literal["whisper", "wav2vec2", "hubert", "wavlm"]
_FAMILIES: tuple[Family, ...] = ("whisper", "wav2vec2", "hubert", "wavlm")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and reports off the terminal while a model is read or written."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def family_of(model_type: str, model: str) -> Family:
    """Return the architecture that transformers calls ``model_type``.

    Raises:
        UnknownModelError: It is none of the families; the message names the model and them.
    """
    for family in _FAMILIES:
        if family == model_type:
            return family
    raise UnknownModelError(
        f"model '{model}': its architecture '{model_type}' is not supported; supported ones: {', '.join(_FAMILIES)}."
    )


def build_encoder(dims: WhisperDimensions | SpeechEncoderDimensions, family: Family, *, attention: str = "sdpa") -> Any:
    """Build the module of an encoder with fresh weights.

    Args:
        dims: Its sizes.
        family: Its architecture; ``whisper`` goes with ``WhisperDimensions``.
        attention: Implementation of attention in transformers; WavLM has one of its own.
    """
    import transformers

    if isinstance(dims, WhisperDimensions):
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        config = transformers.WhisperConfig(
            vocab_size=dims.n_vocab,
            num_mel_bins=dims.n_mels,
            d_model=dims.n_audio_state,
            encoder_layers=dims.n_audio_layer,
            encoder_attention_heads=dims.n_audio_head,
            encoder_ffn_dim=4 * dims.n_audio_state,
            max_source_positions=dims.n_audio_ctx,
            decoder_layers=dims.n_text_layer,
            decoder_attention_heads=dims.n_text_head,
            decoder_ffn_dim=4 * dims.n_text_state,
            max_target_positions=dims.n_text_ctx,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
            decoder_start_token_id=0,
            attn_implementation=attention,
        )
        return WhisperEncoder(config).eval()
    config_class, model_class = {
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model),
        "hubert": (transformers.HubertConfig, transformers.HubertModel),
        "wavlm": (transformers.WavLMConfig, transformers.WavLMModel),
    }[family]
    own = {"num_buckets": dims.num_buckets} if family == "wavlm" else {"attn_implementation": attention}
    config = config_class(
        conv_dim=dims.conv_dim,
        conv_kernel=dims.conv_kernel,
        conv_stride=dims.conv_stride,
        conv_bias=dims.conv_bias,
        feat_extract_norm=dims.feat_extract_norm,
        hidden_size=dims.hidden_size,
        intermediate_size=dims.intermediate_size,
        num_hidden_layers=dims.num_hidden_layers,
        num_attention_heads=dims.num_attention_heads,
        num_conv_pos_embeddings=dims.num_conv_pos_embeddings,
        num_conv_pos_embedding_groups=dims.num_conv_pos_embedding_groups,
        do_stable_layer_norm=dims.stable_layer_norm,
        **own,
    )
    return model_class(config).eval()


def encoder_dimensions(config: Any) -> WhisperDimensions | SpeechEncoderDimensions:
    """Read the dimensions off a configuration of transformers."""
    if config.model_type == "whisper":
        return WhisperDimensions(
            n_mels=config.num_mel_bins,
            n_audio_ctx=config.max_source_positions,
            n_audio_state=config.d_model,
            n_audio_head=config.encoder_attention_heads,
            n_audio_layer=config.encoder_layers,
            n_vocab=config.vocab_size,
            n_text_ctx=config.max_target_positions,
            n_text_state=config.d_model,
            n_text_head=config.decoder_attention_heads,
            n_text_layer=config.decoder_layers,
            multilingual=config.vocab_size >= 51865,  # openai/whisper, model.py: is_multilingual
        )
    return SpeechEncoderDimensions(
        conv_dim=tuple(config.conv_dim),
        conv_kernel=tuple(config.conv_kernel),
        conv_stride=tuple(config.conv_stride),
        conv_bias=config.conv_bias,
        feat_extract_norm=config.feat_extract_norm,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_conv_pos_embeddings=config.num_conv_pos_embeddings,
        num_conv_pos_embedding_groups=config.num_conv_pos_embedding_groups,
        num_buckets=config.num_buckets if config.model_type == "wavlm" else 0,
        stable_layer_norm=config.do_stable_layer_norm,
    )
