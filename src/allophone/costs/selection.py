"""Model selection costs: the pipelines of arXiv 2309.12712 in executed FLOPs, and what they can save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from allophone.costs.decider import Pipeline, RoutingCost, break_even_share, decider_flops, pipeline_flops
from allophone.costs.executed import whisper_flops
from allophone.costs.formulas import audio_tokens
from allophone.costs.reproduction import EXECUTED_FRAMES, EXECUTED_PROMPT_TOKENS, STATED_TEXT_TOKENS
from allophone.dimensions.whisper import whisper_dimensions

__all__ = ["SELECTION_PAPER", "SHARES", "PipelineRow", "Selection", "select_between"]

SELECTION_PAPER = "2309.12712"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # shares to the big model that tables show
STATED_SAVINGS = (0.12, 0.35)  # fewer multiply-accumulates than small alone; abstract of arXiv 2309.12712


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """One pipeline.

    Args:
        cost: FLOPs, fixed and by share.
        decider_flops: The decider's, 0 in a cascade.
        mean_flops: Mean an utterance at each of ``SHARES``.
        break_even_share: Share to the big model below which it is cheaper than the big model alone, None if never.
    """

    cost: RoutingCost
    decider_flops: int
    mean_flops: tuple[float, ...]
    break_even_share: float | None

    @property
    def largest_saving(self) -> float:
        """Part of the big model's FLOPs that is saved when nothing is sent to it; below 0 where it costs more."""
        return 1 - self.cost.mean_flops(0.0) / self.cost.always_big


@dataclass(frozen=True, slots=True)
class Selection:
    """All pipelines between two models, on 30 s windows.

    Args:
        small: Name of the small model.
        big: Name of the big model.
        text_tokens: Text tokens of every window, end-of-text included.
        small_flops: The small model alone.
        big_flops: The big model alone.
        big_encoder_share: Part of the big model that its stem and encoder take.
        rows: One a pipeline.
    """

    small: str
    big: str
    text_tokens: int
    small_flops: int
    big_flops: int
    big_encoder_share: float
    rows: tuple[PipelineRow, ...]


def select_between(small: str = "tiny", big: str = "small", text_tokens: int = STATED_TEXT_TOKENS) -> Selection:
    """Return what every pipeline between two models costs an utterance of one full window.

    Raises:
        UnknownModelError: A name that is not in the table.
        SpaceError: More text tokens than the decoder has positions for.
    """
    dims = {"small": whisper_dimensions(small), "big": whisper_dimensions(big)}
    flops = {
        role: whisper_flops(
            dims[role],
            window_frames=[EXECUTED_FRAMES],
            window_tokens=[text_tokens],
            prompt_tokens=EXECUTED_PROMPT_TOKENS,
        )
        for role in dims
    }
    rows = []
    for pipeline in get_args(Pipeline):
        reads = {"big_first": "big", "small_first": "small"}.get(pipeline)
        decider = decider_flops(dims[reads], audio_tokens(EXECUTED_FRAMES)) if reads else 0
        cost = pipeline_flops(pipeline, small=flops["small"], big=flops["big"], decider=decider)
        means = tuple(cost.mean_flops(share) for share in SHARES)
        rows.append(PipelineRow(cost, decider, means, break_even_share(cost)))
    whole = flops["big"]
    share = (whole.stem + whole.encoder) / whole.total
    return Selection(small, big, text_tokens, flops["small"].total, whole.total, share, tuple(rows))
