"""IsoFLOP plans: the points of a space whose executed FLOPs meet a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TypeVar

from allophone.costs.recognition import point_flops
from allophone.costs.setting import plan_window_frames
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.errors import SpaceError
from allophone.models.engine import text_token_cap
from allophone.records.point import EmotionSetting, OperatingPoint

__all__ = ["TOLERANCE", "check_budgets", "isoflop_points", "mean_gflops", "meet_budgets", "predicted_flops"]

Point = TypeVar("Point", OperatingPoint, EmotionSetting)
TOLERANCE = 0.1  # a composition meets a budget when its mean compute is within this share of it
_TOKENS_PER_SECOND = 3.4  # English at about 2.6 words per second and 1.3 tokens per word


def check_budgets(plan: str, budgets_gflops: Sequence[float]) -> None:
    """Refuse budgets of another plan.

    Raises:
        SpaceError: There are some, and the plan is not ``isoflop``.
    """
    if budgets_gflops and plan != "isoflop":
        raise SpaceError(f"budgets belong to plan isoflop, not to {plan}.")


def isoflop_points(
    points: Sequence[OperatingPoint],
    budgets_gflops: Sequence[float],
    durations_s: Sequence[float],
    dimensions: Mapping[str, RecognitionDimensions],
) -> list[OperatingPoint]:
    """Return the points whose predicted mean compute is within a tenth of a budget, budgets in order.

    Args:
        points: All combinations of a space.
        budgets_gflops: Executed GFLOPs per utterance.
        durations_s: Lengths of utterances that stand for the corpus.
        dimensions: Dimensions of every model that occurs.

    Raises:
        SpaceError: There is no budget, one is not positive, or no point meets it; the message names the nearest cost.
    """
    return meet_budgets(mean_gflops(points, durations_s, dimensions), budgets_gflops, "an utterance")


def meet_budgets(costs: Mapping[Point, float], budgets_gflops: Sequence[float], what: str) -> list[Point]:
    """Return the points whose predicted compute is within a tenth of a budget, budgets in order.

    Args:
        costs: GFLOPs of every point of a space.
        budgets_gflops: The budgets.
        what: What the GFLOPs are counted for, as ``an utterance``.

    Raises:
        SpaceError: As :func:`isoflop_points`.
    """
    if not budgets_gflops:
        raise SpaceError(f"plan isoflop needs budgets: --budgets 20,40,80 (executed GFLOPs {what}).")
    chosen: list[Point] = []
    for budget in budgets_gflops:
        if not budget > 0:
            raise SpaceError(f"budget {budget:g}: give GFLOPs {what}, above 0.")
        met = [point for point, cost in costs.items() if abs(cost - budget) <= TOLERANCE * budget]
        if not met:
            nearest = min(costs, key=lambda point: abs(costs[point] - budget))
            raise SpaceError(
                f"budget {budget:g}: no point of the space costs that within {TOLERANCE:.0%}; the nearest is "
                f"{nearest.title} with {costs[nearest]:.1f} GFLOPs. Widen the space or move the budget."
            )
        chosen += met
    return list(dict.fromkeys(chosen))


def mean_gflops(
    points: Sequence[OperatingPoint], durations_s: Sequence[float], dimensions: Mapping[str, RecognitionDimensions]
) -> dict[OperatingPoint, float]:
    """Return the predicted executed GFLOPs per utterance of every point, the mean over the given lengths.

    Args:
        points: Operating points.
        durations_s: Lengths of utterances that stand for the corpus.
        dimensions: Dimensions of every model that occurs.
    """
    return {
        point: sum(predicted_flops(dimensions[point.model], length, point) for length in durations_s)
        / len(durations_s)
        / 1e9
        for point in points
    }


def predicted_flops(dims: RecognitionDimensions, duration_s: float, point: OperatingPoint) -> int:
    """Return the executed FLOPs of one utterance under an assumed speaking rate of 3.4 tokens per second.

    Args:
        dims: The model.
        duration_s: Length of the recording.
        point: The operating point.
    """
    windows = len(plan_window_frames(duration_s, window_s=point.window_s, context=point.context, speed=point.speed))
    said_s = duration_s / max(1, windows)
    tokens = min(ceil(said_s * _TOKENS_PER_SECOND) + 1, text_token_cap(said_s), dims.n_text_ctx)
    return point_flops(dims, point, audio_s=duration_s, text_tokens=tokens)
