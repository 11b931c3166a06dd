"""The ``published`` convention: how arXiv 2606.22790 counts, kept so that its tables can be compared with what runs.

Exact to the printed digit for its tables (``reproduce``), and not what is executed: cross-attention keys and values are
billed again for every text token although decoding caches them, half of the encoder's attention products is left out,
and so are the convolutions before the encoder, the prompt and the vocabulary. Emotion recognition is billed by
parameters alone.

Symbols: ``d`` width, ``n`` encoder layers, ``T`` audio tokens, ``s`` token stride, ``L`` text tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from allophone.costs.formulas import FLOPS_PER_MAC, audio_tokens
from allophone.costs.limits import check_stride
from allophone.dimensions.moonshine import MoonshineDimensions, RecognitionDimensions

__all__ = ["PublishedFlops", "published_recognition_flops", "published_ser_flops", "published_whisper_flops"]

TOKENS_PER_S = 50  # audio tokens per second


@dataclass(frozen=True, slots=True)
class PublishedFlops:
    """FLOPs under the published convention; fractions where a stride does not divide the tokens.

    Args:
        encoder: Encoder layers.
        decoder: Decoder layers with their repeated keys and values.
    """

    encoder: int
    decoder: Fraction

    @property
    def total(self) -> Fraction:
        """Both parts."""
        return self.encoder + self.decoder


def published_whisper_flops(
    dims: RecognitionDimensions, *, audio_tokens: int, text_tokens: int, token_stride: int = 1
) -> PublishedFlops:
    """``n·(2Td(4d + T) + 16Td²)`` and ``n·(2(T/s)d² + 10d²)·L``, with the encoder's ``n`` and ``d`` in both.

    Source: the code behind arXiv 2606.22790, tables of speech recognition.

    Args:
        dims: The model.
        audio_tokens: ``T``; the paper calls them frames.
        text_tokens: ``L``, 20 throughout the paper but for two rows.
        token_stride: ``s``.

    Raises:
        SpaceError: A stride below 1.
    """
    check_stride(token_stride)
    n, d = dims.n_audio_layer, dims.n_audio_state
    encoder = n * (2 * audio_tokens * d * (4 * d + audio_tokens) + 16 * audio_tokens * d * d)
    decoder = n * (2 * Fraction(audio_tokens, token_stride) * d * d + 10 * d * d) * text_tokens
    return PublishedFlops(encoder, decoder)


def published_recognition_flops(
    dims: RecognitionDimensions, *, window_frames: Sequence[int], window_tokens: Sequence[int], token_stride: int = 1
) -> PublishedFlops:
    """Sum the published formula over windows.

    arXiv 2606.22790 has no Moonshine. Its formula needs only layers, width and audio tokens, so Moonshine is billed by
    it with its own; both models of a comparison are then counted alike.

    Args:
        dims: The model.
        window_frames: 10 ms frames that the encoder ran on, one per window.
        window_tokens: Text tokens generated, one per window.
        token_stride: Every n-th audio token reaches the decoder.

    Raises:
        SpaceError: A stride below 1.
    """
    encoder, decoder = 0, Fraction(0)
    for frames, text_tokens in zip(window_frames, window_tokens, strict=True):
        tokens = dims.audio_tokens(frames) if isinstance(dims, MoonshineDimensions) else audio_tokens(frames)
        flops = published_whisper_flops(dims, audio_tokens=tokens, text_tokens=text_tokens, token_stride=token_stride)
        encoder += flops.encoder
        decoder += flops.decoder
    return PublishedFlops(encoder, decoder)


def published_ser_flops(parameters: int, duration_s: float) -> Fraction:
    """``2 · parameters · 50 · seconds``: every parameter once for every audio token.

    Source: the code behind arXiv 2606.22790, tables of emotion recognition. The convolutional front end runs far more
    often than 50 times per second, attention grows with the square of the length, and neither shows.

    Args:
        parameters: Parameters of encoder and head, adapters left out.
        duration_s: Seconds of audio.
    """
    return FLOPS_PER_MAC * parameters * TOKENS_PER_S * Fraction(str(duration_s))
