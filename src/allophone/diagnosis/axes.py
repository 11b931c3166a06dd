"""Axes that are varied alone, and the points that differ in one of them only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from allophone.dimensions.whisper import TRAINED_CONTEXT_S
from allophone.records.point import OperatingPoint, Setting

__all__ = ["AXES", "EMOTION_AXES", "Axis", "Resource", "arm_pairs"]

Resource = Literal["capacity", "context", "resolution", "precision", "search", "adaptation"]


@dataclass(frozen=True, slots=True)
class Axis:
    """A knob that is turned alone.

    Args:
        name: As people and JSON name it.
        purchase: What spending on it buys.
        fields: Fields of an operating point that it sets; context, margin and floor are one knob, as in a star.
        show: The setting of a point on this axis, in words.
        at_limit: Whether no setting beyond a point's own exists, whatever one spends.
    """

    name: str
    purchase: Resource
    fields: tuple[str, ...]
    show: Callable[[Any], str]
    at_limit: Callable[[Any], bool]

    def axis_slice(self, point: Setting) -> tuple[object, ...]:
        """The settings of all other axes; points with equal ones differ in this axis at most."""
        return tuple(value for name, value in point if name not in self.fields)


def _show_context(point: OperatingPoint) -> str:
    if point.context == "full":
        return "full"
    floor = f", floor {point.floor_s:g} s" if point.floor_s else ""
    tail = f", tail {point.tail}" if point.tail != "none" else ""
    return f"fit +{point.margin_s:g} s{floor}{tail}" + (", guarded" if point.guard else "")


_CONTEXT_KNOBS = ("context", "margin_s", "floor_s", "tail", "guard")
AXES: tuple[Axis, ...] = (
    Axis("model", "capacity", ("model",), lambda p: p.model, lambda p: False),
    Axis(
        "context",
        "context",
        _CONTEXT_KNOBS,
        _show_context,
        lambda p: p.context == "full",
    ),
    Axis(
        "window_s", "context", ("window_s",), lambda p: f"{p.window_s:g} s", lambda p: p.window_s >= TRAINED_CONTEXT_S
    ),
    Axis("token_stride", "resolution", ("token_stride",), lambda p: str(p.token_stride), lambda p: p.token_stride == 1),
    Axis("speed", "resolution", ("speed",), lambda p: f"{p.speed:g}", lambda p: p.speed <= 1),
    Axis(
        "compute_type", "precision", ("compute_type",), lambda p: p.compute_type, lambda p: p.compute_type == "float32"
    ),
    Axis("beam_size", "search", ("beam_size",), lambda p: str(p.beam_size), lambda p: False),
)
EMOTION_AXES: tuple[Axis, ...] = (
    Axis("model", "capacity", ("model",), lambda p: p.model, lambda p: False),
    Axis(
        "duration_s",
        "context",
        ("duration_s",),
        lambda p: f"{p.duration_s:g} s",
        lambda p: p.duration_s >= TRAINED_CONTEXT_S,
    ),
    Axis("lora_rank", "adaptation", ("lora_rank",), lambda p: str(p.lora_rank), lambda p: False),
    Axis(
        "unfrozen_layers",
        "adaptation",
        ("unfrozen_layers",),
        lambda p: str(p.unfrozen_layers),
        lambda p: p.unfrozen_layers == "all",
    ),
)


def arm_pairs(axis: Axis, points: Sequence[Setting]) -> list[tuple[int, int]]:
    """Indices of every two points that differ in this axis only."""
    arms: dict[tuple[object, ...], list[int]] = {}
    for index, point in enumerate(points):
        arms.setdefault(axis.axis_slice(point), []).append(index)
    return [pair for axis_slice in arms.values() for pair in combinations(axis_slice, 2)]
