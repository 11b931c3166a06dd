"""Decider costs: choosing between a small and a big Whisper per utterance, and when that pays.

The decider of arXiv 2309.12712: the hidden states of an encoder (all layers and the input of the first) combined by
learned weights, three residual blocks (256 channels, kernel 3, strides 2, 3, 3), mean over time, one linear output. A
residual block is two convolutions and, since width or length changes, a pointwise convolution beside them
(arXiv 1512.03385, section 3.3). Weighted sum and mean are element-wise and not counted.

Three pipelines, each as a function of the share ``p`` of utterances that end up with the big model:

- ``big_first`` (the paper's): the big encoder always runs and feeds the decider; its own decoder continues for ``p``,
  the small model runs from its start for the rest.
- ``small_first``: the small encoder always runs and feeds the decider; its own decoder continues for the rest.
- ``cascade``: the small model always runs to its end and its result decides; nothing else is paid for deciding.

All are linear in ``p``, so each has one share below which it is cheaper than always running the big model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from allophone.costs.executed import WhisperFlops
from allophone.costs.formulas import FLOPS_PER_MAC
from allophone.dimensions.whisper import WhisperDimensions
from allophone.errors import SpaceError

__all__ = [
    "DECIDER_BLOCKS",
    "Pipeline",
    "RoutingCost",
    "break_even_share",
    "decider_flops",
    "decider_flops_on",
    "decider_parameters",
    "pipeline_flops",
]

DECIDER_KERNEL = 3
DECIDER_BLOCKS = ((256, 2), (256, 3), (256, 3))  # channels, stride
Pipeline = Literal["big_first", "small_first", "cascade"]


def decider_flops(dims: WhisperDimensions, audio_tokens: int) -> int:
    """The decider on one window's encoder states: ``Σ 2·L_out·c·(3·c_in + 3·c + c_in) + 2·c``.

    Source: section 3 of arXiv 2309.12712. 0.89 GMAC on the 1500 audio tokens of small.

    Args:
        dims: The model whose encoder states are read.
        audio_tokens: Positions of the encoder.
    """
    return decider_flops_on(dims.n_audio_state, audio_tokens)


def decider_flops_on(width: int, positions: int) -> int:
    """The decider on any states: encoder states of one window, or a log-mel with one position a frame.

    Args:
        width: Channels of the states.
        positions: Their length.
    """
    flops, length, c_in = 0, positions, width
    for channels, stride in DECIDER_BLOCKS:
        length = (length - 1) // stride + 1  # padding 1 on both sides of kernel 3
        weights = channels * (DECIDER_KERNEL * c_in + DECIDER_KERNEL * channels + c_in)
        flops += FLOPS_PER_MAC * length * weights
        c_in = channels
    return flops + FLOPS_PER_MAC * c_in


def decider_parameters(dims: WhisperDimensions) -> int:
    """Layer weights, convolutions with biases, linear output with bias; normalisations left out."""
    count, c_in = dims.n_audio_layer + 1, dims.n_audio_state
    for channels, _ in DECIDER_BLOCKS:
        count += channels * (DECIDER_KERNEL * c_in + DECIDER_KERNEL * channels + c_in) + 3 * channels
        c_in = channels
    return count + c_in + 1


@dataclass(frozen=True, slots=True)
class RoutingCost:
    """Mean FLOPs per utterance of one pipeline.

    Args:
        pipeline: Which model runs first and what decides.
        fixed: FLOPs that every utterance pays.
        big: FLOPs that an utterance sent to the big model pays on top.
        small: FLOPs that an utterance left to the small model pays on top.
        always_big: FLOPs of the big model alone, the price to beat.
    """

    pipeline: Pipeline
    fixed: int
    big: int
    small: int
    always_big: int

    def mean_flops(self, share_to_big: float) -> float:
        """Return mean FLOPs when ``share_to_big`` of the utterances, 0 to 1, end up with the big model.

        Raises:
            SpaceError: A share outside 0 to 1.
        """
        if not 0 <= share_to_big <= 1:
            raise SpaceError(f"share {share_to_big:g}; a share goes from 0 to 1")
        return self.fixed + share_to_big * self.big + (1 - share_to_big) * self.small


def pipeline_flops(pipeline: Pipeline, *, small: WhisperFlops, big: WhisperFlops, decider: int = 0) -> RoutingCost:
    """Return what one pipeline costs an utterance.

    Args:
        pipeline: Which model runs first and what decides.
        small: The small model on the utterance.
        big: The big model on it.
        decider: FLOPs of the decider on the states of the encoder that runs first; a cascade has none.

    Raises:
        SpaceError: An unknown pipeline.
    """
    if pipeline == "big_first":
        encoder = big.stem + big.encoder
        return RoutingCost(pipeline, encoder + decider, big.total - encoder, small.total, big.total)
    if pipeline == "small_first":
        encoder = small.stem + small.encoder
        return RoutingCost(pipeline, encoder + decider, big.total, small.total - encoder, big.total)
    if pipeline == "cascade":
        return RoutingCost(pipeline, small.total, big.total, 0, big.total)
    raise SpaceError(f"unknown pipeline '{pipeline}'; known ones: {', '.join(get_args(Pipeline))}")


def break_even_share(cost: RoutingCost) -> float | None:
    """Return the share to big below which the pipeline is cheaper than always running the big model.

    ``p* = (always_big - fixed - small) / (big - small)``; 1 where it is cheaper at every share. None where it is
    cheaper at no share at all: even with nothing sent to big it costs at least as much.
    """
    saved_at_none = cost.always_big - cost.fixed - cost.small
    if saved_at_none <= 0:
        return None
    slope = cost.big - cost.small
    if slope <= saved_at_none:
        return 1.0
    return saved_at_none / slope
