"""The dimensions of every speech model that allophone knows by name, one sourced row a model.

The rows are facts about published architectures, so they stand below every room: cost formulas, engines and
commands all read the same table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from allophone.errors import UnknownModelError, UsageError

__all__ = [
    "AUDIO_TOKEN_S",
    "FRAMES_PER_AUDIO_TOKEN",
    "FRAME_S",
    "HOP_SAMPLES",
    "MAX_TEXT_TOKENS",
    "SAMPLE_RATE",
    "SPEECH_ENCODERS",
    "TRAINED_CONTEXT_S",
    "WHISPER_MODELS",
    "SpeechEncoderDimensions",
    "WhisperDimensions",
    "dimensions",
    "prompt_names",
    "speech_encoder_dimensions",
    "whisper_dimensions",
]

SAMPLE_RATE = 16_000  # samples a second
HOP_SAMPLES = 160  # samples between log-mel frames
FRAME_S = HOP_SAMPLES / SAMPLE_RATE  # 0.01 s
FRAMES_PER_AUDIO_TOKEN = 2  # stride of the second convolution of the stem
AUDIO_TOKEN_S = FRAME_S * FRAMES_PER_AUDIO_TOKEN  # 0.02 s
TRAINED_CONTEXT_S = 30.0  # seconds of audio that Whisper's encoder was trained on
MAX_TEXT_TOKENS = 448  # positions of the text decoder


@dataclass(frozen=True, slots=True)
class WhisperDimensions:
    """Dimensions of one Whisper model, in the names of ``openai/whisper`` (``whisper/model.py``).

    Args:
        n_mels: log-mel channels.
        n_audio_ctx: audio tokens that the encoder was trained on (1500 = 30 s).
        n_audio_state: width of the encoder.
        n_audio_head: attention heads of the encoder.
        n_audio_layer: layers of the encoder.
        n_vocab: text tokens in the vocabulary.
        n_text_ctx: positions of the decoder.
        n_text_state: width of the decoder.
        n_text_head: attention heads of the decoder.
        n_text_layer: layers of the decoder.
        multilingual: whether the vocabulary has language and task tokens.
    """

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int
    multilingual: bool


def _whisper(state: int, head: int, layer: int, *, english: bool = False, **other: int) -> WhisperDimensions:
    # Encoder and decoder share width, heads and depth in every release but turbo; the vocabulary has 51865 tokens,
    # one fewer without the language block's extra entry (.en), one more with Cantonese (large-v3 and turbo).
    return WhisperDimensions(
        n_mels=other.get("n_mels", 80),
        n_audio_ctx=1500,
        n_audio_state=state,
        n_audio_head=head,
        n_audio_layer=layer,
        n_vocab=51864 if english else other.get("n_vocab", 51865),
        n_text_ctx=MAX_TEXT_TOKENS,
        n_text_state=state,
        n_text_head=head,
        n_text_layer=other.get("n_text_layer", layer),
        multilingual=not english,
    )


# Source: the `dims` record in each openai/whisper checkpoint; the table of sizes in openai/whisper's model card.
WHISPER_MODELS: dict[str, WhisperDimensions] = {
    "tiny": _whisper(384, 6, 4),
    "tiny.en": _whisper(384, 6, 4, english=True),
    "base": _whisper(512, 8, 6),
    "base.en": _whisper(512, 8, 6, english=True),
    "small": _whisper(768, 12, 12),
    "small.en": _whisper(768, 12, 12, english=True),
    "medium": _whisper(1024, 16, 24),
    "medium.en": _whisper(1024, 16, 24, english=True),
    "large-v1": _whisper(1280, 20, 32),
    "large-v2": _whisper(1280, 20, 32),
    "large-v3": _whisper(1280, 20, 32, n_mels=128, n_vocab=51866),
    "large-v3-turbo": _whisper(1280, 20, 32, n_mels=128, n_vocab=51866, n_text_layer=4),
}


def whisper_dimensions(name: str) -> WhisperDimensions:
    """Return the dimensions of the Whisper model called ``name``.

    Raises:
        UnknownModelError: The name is not in the table; the message lists the known ones.
    """
    try:
        return WHISPER_MODELS[name]
    except KeyError:
        known = ", ".join(WHISPER_MODELS)
        raise UnknownModelError(f"unknown model '{name}'; known models: {known}; or give a folder") from None


def prompt_names(dims: WhisperDimensions, language: str) -> tuple[str, ...]:
    """Return the prompt: names of the tokens that the decoder is given for a transcript without timestamps.

    Start, language and task where the vocabulary has them, then no timestamps: 2 tokens for an English-only model, 4
    for a multilingual one. Source: openai/whisper, ``tokenizer.py``, ``sot_sequence_including_notimestamps``.

    Args:
        dims: The model.
        language: Code of the language, ``en`` for an English-only model.

    Raises:
        UsageError: Another language than English for an English-only model.
    """
    if dims.multilingual:
        return ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
    if language != "en":
        raise UsageError(f"language '{language}': this model knows English only. Use a multilingual model.")
    return ("<|startoftranscript|>", "<|notimestamps|>")


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
    try:
        return SPEECH_ENCODERS[name]
    except KeyError:
        known = ", ".join(SPEECH_ENCODERS)
        raise UnknownModelError(f"unknown speech encoder '{name}'; known ones: {known}") from None


def dimensions(name: str) -> WhisperDimensions | SpeechEncoderDimensions:
    """Return the dimensions of any model in the tables.

    Raises:
        UnknownModelError: The name is in neither table; the message lists the known ones.
    """
    if name in SPEECH_ENCODERS:
        return SPEECH_ENCODERS[name]
    if name in WHISPER_MODELS:
        return WHISPER_MODELS[name]
    known = ", ".join([*WHISPER_MODELS, *SPEECH_ENCODERS])
    raise UnknownModelError(f"unknown model '{name}'; known models: {known}")
