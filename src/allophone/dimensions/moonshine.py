"""The dimensions of Moonshine, and of any model that recognises speech: Moonshine's and Whisper's tables as one."""

from __future__ import annotations

from dataclasses import dataclass

from allophone.dimensions.whisper import (
    FRAMES_PER_AUDIO_TOKEN,
    HOP_SAMPLES,
    SAMPLE_RATE,
    TRAINED_CONTEXT_S,
    WHISPER_MODELS,
    WhisperDimensions,
)
from allophone.errors import UnknownModelError
from allophone.look_up import look_up

__all__ = [
    "MOONSHINE_MODELS",
    "MoonshineDimensions",
    "RecognitionDimensions",
    "recognition_dimensions",
]


@dataclass(frozen=True, slots=True)
class MoonshineDimensions:
    """Dimensions of one Moonshine model (arXiv 2410.15608); names are those of ``WhisperDimensions`` where it has them.

    It reads samples, not log-mel, and encodes the audio as long as it is: there is no trained length to pad to.

    Args:
        conv_dim: channels of each convolution of the stem; the first one reads one channel of samples.
        conv_kernel: samples or positions under each.
        conv_stride: step of each; their product is the samples of one audio token, 384 (24 ms).
        n_audio_state: width of the encoder.
        n_audio_head: attention heads of the encoder.
        n_audio_layer: layers of the encoder.
        n_ffn: hidden width of the feed-forward parts; the decoder's is gated, so its first projection has twice that.
        n_vocab: text tokens in the vocabulary.
        n_text_ctx: positions that the decoder was made for.
        n_text_state: width of the decoder.
        n_text_head: attention heads of the decoder.
        n_text_layer: layers of the decoder.
        multilingual: whether the vocabulary has language tokens.
    """

    conv_dim: tuple[int, ...]
    conv_kernel: tuple[int, ...]
    conv_stride: tuple[int, ...]
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_ffn: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int
    multilingual: bool = False

    @property
    def least_frames(self) -> int:
        """Log-mel frames' worth of audio below which there is no audio token; an even number, as all windows have."""
        samples = 1
        for kernel, stride in zip(reversed(self.conv_kernel), reversed(self.conv_stride), strict=True):
            samples = (samples - 1) * stride + kernel
        step = HOP_SAMPLES * FRAMES_PER_AUDIO_TOKEN
        return FRAMES_PER_AUDIO_TOKEN * -(-samples // step)

    @property
    def n_audio_ctx(self) -> int:
        """Audio tokens of the longest audio that it was trained on, 30 s."""
        return self.audio_tokens(round(TRAINED_CONTEXT_S * SAMPLE_RATE) // HOP_SAMPLES)

    def conv_lengths(self, frames: int) -> tuple[int, ...]:
        """Return the positions after each convolution, ``⌊(L - k) / s⌋ + 1``, for a window of so many 10 ms frames.

        A window shorter than one audio token is padded to one.
        """
        length = max(frames, self.least_frames) * HOP_SAMPLES
        lengths = []
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            length = (length - kernel) // stride + 1
            lengths.append(length)
        return tuple(lengths)

    def audio_tokens(self, frames: int) -> int:
        """Return encoder positions of a window of so many 10 ms frames."""
        return self.conv_lengths(frames)[-1]


def _moonshine(state: int, layer: int) -> MoonshineDimensions:
    return MoonshineDimensions(
        conv_dim=(state, 2 * state, state),
        conv_kernel=(127, 7, 3),
        conv_stride=(64, 3, 2),
        n_audio_state=state,
        n_audio_head=8,
        n_audio_layer=layer,
        n_ffn=4 * state,
        n_vocab=32768,
        n_text_ctx=194,
        n_text_state=state,
        n_text_head=8,
        n_text_layer=layer,
    )


# Source: config.json of UsefulSensors/moonshine-tiny on the Hugging Face hub; table 2 of arXiv 2410.15608.
MOONSHINE_MODELS: dict[str, MoonshineDimensions] = {"moonshine-tiny": _moonshine(288, 6)}

RecognitionDimensions = WhisperDimensions | MoonshineDimensions
"""Of any model that turns speech into text."""


def recognition_dimensions(name: str) -> RecognitionDimensions:
    """Return the dimensions of the speech recogniser called ``name``.

    Raises:
        UnknownModelError: The name is in neither table; the message lists the known ones.
    """
    models: dict[str, RecognitionDimensions] = {**WHISPER_MODELS, **MOONSHINE_MODELS}
    return look_up(models, name, "model", "models", UnknownModelError, "; or give a folder")
