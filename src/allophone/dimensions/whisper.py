"""Whisper's dimensions: one sourced row per model, and the constants of its log-mel and its decoder."""

from __future__ import annotations

from dataclasses import dataclass

from allophone.errors import UnknownModelError, UsageError
from allophone.look_up import look_up

__all__ = [
    "AUDIO_TOKEN_S",
    "FRAMES_PER_AUDIO_TOKEN",
    "FRAME_S",
    "HOP_SAMPLES",
    "MAX_TEXT_TOKENS",
    "SAMPLE_RATE",
    "TRAINED_CONTEXT_S",
    "WHISPER_MODELS",
    "WhisperDimensions",
    "prompt_names",
    "whisper_dimensions",
]

SAMPLE_RATE = 16_000  # samples per second
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
    return look_up(WHISPER_MODELS, name, "model", "models", UnknownModelError, "; or give a folder")


def prompt_names(dims: WhisperDimensions, language: str, task: str = "transcribe") -> tuple[str, ...]:
    """Return the prompt: names of the tokens that the decoder is given for a transcript without timestamps.

    Start, language and task where the vocabulary has them, then no timestamps: 2 tokens for an English-only model, 4
    for a multilingual one. Source: openai/whisper, ``tokenizer.py``, ``sot_sequence_including_notimestamps``.

    Args:
        dims: The model.
        language: Code of the language, ``en`` for an English-only model.
        task: ``transcribe``, or ``translate`` into English.

    Raises:
        UsageError: Another language than English, or another task, for an English-only model.
    """
    if dims.multilingual:
        return ("<|startoftranscript|>", f"<|{language}|>", f"<|{task}|>", "<|notimestamps|>")
    if language != "en":
        raise UsageError(f"language '{language}': this model knows English only. Use a multilingual model.")
    if task != "transcribe":
        raise UsageError(f"task '{task}': this model knows English only. Use a multilingual model.")
    return ("<|startoftranscript|>", "<|notimestamps|>")
