"""FLOPs of encoders on raw samples (wav2vec 2.0, HuBERT, WavLM) and of the pooled head.

Counted as in ``formulas``: matrix products and convolutions, 2 FLOPs a multiply-accumulate. The head takes a learned
weighted sum of all layers, the mean and standard deviation over time, and one linear layer; only the last is a product.

Symbols: ``d`` width, ``f`` feed-forward width, ``n`` layers, ``A`` audio tokens, ``C`` classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from allophone.costs.formulas import FLOPS_PER_MAC, MLP_RATIO, audio_tokens, encoder_flops, stem_flops
from allophone.costs.limits import check_classes, check_frames
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import WhisperDimensions
from allophone.errors import SpaceError

__all__ = [
    "GATE_WIDTH",
    "POOLED_STATISTICS",
    "LayerStack",
    "SpeechFlops",
    "conv_lengths",
    "front_end_flops",
    "layer_flops",
    "layer_stack",
    "pooled_head_flops",
    "position_flops",
    "projection_flops",
    "speech_flops",
    "speech_tokens",
    "whisper_pooled_flops",
]

GATE_WIDTH = 8  # numbers that WavLM's gate projects a head's input to
POOLED_STATISTICS = 2  # mean and standard deviation


@dataclass(frozen=True, slots=True)
class LayerStack:
    """The transformer layers of any encoder, as far as their cost goes.

    Args:
        width: ``d``.
        hidden: ``f``, width of the feed-forward part.
        layers: ``n``.
        gate_width: numbers that the gate of the position bias projects each head to; 0 without one.
        norm_first: whether a layer normalises its input before the projections read it.
    """

    width: int
    hidden: int
    layers: int
    gate_width: int
    norm_first: bool

    @property
    def fused_attention(self) -> bool:
        """Whether attention is one fused call on its weights, so that adapters go on the feed-forward part: WavLM."""
        return self.gate_width > 0


@dataclass(frozen=True, slots=True)
class SpeechFlops:
    """FLOPs of one pass over one recording by part, exact integers.

    Args:
        stem: Convolutions from samples (or log-mel frames, in Whisper) to audio tokens.
        projection: Linear layer from the front end's channels to the encoder's width; Whisper has none.
        position: Convolution that encodes position; Whisper has none.
        encoder: Layers.
        head: Linear layer from pooled statistics to classes.
    """

    stem: int
    projection: int
    position: int
    encoder: int
    head: int

    @property
    def total(self) -> int:
        """All parts together."""
        return self.stem + self.projection + self.position + self.encoder + self.head

    @property
    def macs_total(self) -> int:
        """Multiply-accumulates: half the FLOPs, exactly."""
        return self.total // FLOPS_PER_MAC

    @property
    def stem_share(self) -> float:
        """Part of the whole that the convolutional front end takes, 0 to 1."""
        return self.stem / self.total


def conv_lengths(dims: SpeechEncoderDimensions, samples: int) -> tuple[int, ...]:
    """Return positions after each convolution of the front end, ``⌊(L - k) / s⌋ + 1``; the last are the audio tokens.

    Raises:
        SpaceError: Too few samples for one audio token; the message names the least.
    """
    least = 1
    for kernel, stride in zip(reversed(dims.conv_kernel), reversed(dims.conv_stride), strict=True):
        least = (least - 1) * stride + kernel
    if samples < least:
        raise SpaceError(f"{samples} samples are too few for one audio token; the front end needs {least}")
    lengths = []
    for kernel, stride in zip(dims.conv_kernel, dims.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
        lengths.append(samples)
    return tuple(lengths)


def speech_tokens(dims: SpeechEncoderDimensions, samples: int) -> int:
    """Return audio tokens of a recording of so many samples at 16 kHz."""
    return conv_lengths(dims, samples)[-1]


def front_end_flops(dims: SpeechEncoderDimensions, samples: int) -> int:
    """The convolutions on samples: ``Σ 2·k·c_in·c_out·L_out``.

    Source: section 4.2 of arXiv 2006.11477; ``Wav2Vec2FeatureEncoder`` in transformers.
    """
    channels = (1, *dims.conv_dim)
    layers = zip(dims.conv_kernel, channels, channels[1:], conv_lengths(dims, samples), strict=False)
    return sum(FLOPS_PER_MAC * kernel * c_in * c_out * length for kernel, c_in, c_out, length in layers)


def projection_flops(dims: SpeechEncoderDimensions, tokens: int) -> int:
    """The front end's channels to the encoder's width: ``2·c·d·A``."""
    return FLOPS_PER_MAC * dims.conv_dim[-1] * dims.hidden_size * tokens


def position_flops(dims: SpeechEncoderDimensions, tokens: int) -> int:
    """The grouped convolution that encodes position: ``2·d·(d/g)·k·(A + 1)``.

    Padding of ``k/2`` on both sides makes one position too many when ``k`` is even; it is computed, then cut
    (``Wav2Vec2SamePadLayer`` in transformers).
    """
    taps, d = dims.num_conv_pos_embeddings, dims.hidden_size
    positions = tokens + (1 if taps % 2 == 0 else 0)
    return FLOPS_PER_MAC * d * (d // dims.num_conv_pos_embedding_groups) * taps * positions


def layer_stack(dims: WhisperDimensions | SpeechEncoderDimensions) -> LayerStack:
    """Return the encoder layers of any model in the tables."""
    if isinstance(dims, WhisperDimensions):
        return LayerStack(dims.n_audio_state, MLP_RATIO * dims.n_audio_state, dims.n_audio_layer, 0, norm_first=True)
    gate = GATE_WIDTH if dims.num_buckets else 0
    return LayerStack(
        dims.hidden_size, dims.intermediate_size, dims.num_hidden_layers, gate, norm_first=dims.stable_layer_norm
    )


def layer_flops(stack: LayerStack, tokens: int) -> int:
    """One layer: ``8·d²·A + 4·d·f·A + 4·d·A² (+ 2·8·d·A)``.

    The last term is WavLM's gate of the relative position bias: a projection of ``d/H`` to 8 numbers for every head
    and token (arXiv 2110.13900, section 3.1). The bias itself is looked up and added.
    """
    d = stack.width
    products = 4 * d * d + 2 * d * stack.hidden + stack.gate_width * d
    return FLOPS_PER_MAC * (products * tokens + 2 * d * tokens * tokens)


def pooled_head_flops(width: int, classes: int) -> int:
    """Mean and standard deviation of the width, to classes: ``2·2d·C``."""
    return FLOPS_PER_MAC * POOLED_STATISTICS * width * classes


def speech_flops(dims: SpeechEncoderDimensions, *, samples: int, classes: int) -> SpeechFlops:
    """Count one inference of an encoder on samples with a pooled head; adapters are merged into the weights.

    Args:
        dims: The model.
        samples: Audio samples at 16 kHz.
        classes: Classes of the head.

    Raises:
        SpaceError: Audio shorter than the front end, or fewer than two classes.
    """
    check_classes(classes)
    tokens = speech_tokens(dims, samples)
    return SpeechFlops(
        stem=front_end_flops(dims, samples),
        projection=projection_flops(dims, tokens),
        position=position_flops(dims, tokens),
        encoder=dims.num_hidden_layers * layer_flops(layer_stack(dims), tokens),
        head=pooled_head_flops(dims.hidden_size, classes),
    )


def whisper_pooled_flops(dims: WhisperDimensions, *, frames: int, classes: int) -> SpeechFlops:
    """Count one inference of Whisper's encoder with a pooled head, on as many log-mel frames as there is audio.

    Args:
        dims: The model; its decoder does not run.
        frames: Log-mel frames.
        classes: Classes of the head.

    Raises:
        SpaceError: More frames than the trained context, none at all, or fewer than two classes.
    """
    check_classes(classes)
    check_frames(dims, frames)
    return SpeechFlops(
        stem=stem_flops(dims, frames),
        projection=0,
        position=0,
        encoder=encoder_flops(dims, audio_tokens(frames)),
        head=pooled_head_flops(dims.n_audio_state, classes),
    )
