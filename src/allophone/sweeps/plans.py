"""Plans: which points of a search space are measured."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Literal, get_args

from allophone.errors import SpaceError
from allophone.records import OperatingPoint
from allophone.sweeps.space import SearchSpace

__all__ = ["Plan", "plan_points"]

Plan = Literal["star", "grid"]

# Axes that vary alone in a star; the context axes are one arm, since margin and floor mean nothing at full context.
_ARMS = ("window_s", "token_stride", "speed", "compute_type", "beam_size")


def plan_points(space: SearchSpace, plan: str) -> list[OperatingPoint]:
    """Return the points of a plan, each once, models outermost.

    ``star`` varies one axis at a time round the centre (the first value of each axis), for every model; ``grid`` is
    every combination.

    Raises:
        SpaceError: Unknown plan.
    """
    if plan not in get_args(Plan):
        raise SpaceError(f"unknown plan '{plan}'; known plans: {', '.join(get_args(Plan))}.")
    points = _star(space) if plan == "star" else _grid(space)
    return list(dict.fromkeys(points))


def _star(space: SearchSpace) -> Iterator[OperatingPoint]:
    contexts = list(_contexts(space))
    for model in space.model:
        centre: dict[str, Any] = {"model": model, **contexts[0]}
        centre |= {arm: getattr(space, arm)[0] for arm in _ARMS}
        yield OperatingPoint(**centre)
        for context in contexts[1:]:
            yield OperatingPoint(**{**centre, **context})
        for arm in _ARMS:
            for value in getattr(space, arm)[1:]:
                yield OperatingPoint(**{**centre, arm: value})


def _grid(space: SearchSpace) -> Iterator[OperatingPoint]:
    for model in space.model:
        for context in _contexts(space):
            for values in product(*(getattr(space, arm) for arm in _ARMS)):
                yield OperatingPoint(model=model, **context, **dict(zip(_ARMS, values, strict=True)))


def _contexts(space: SearchSpace) -> Iterator[dict[str, Any]]:
    for context in space.context:
        if context == "full":
            yield {"context": "full"}
            continue
        for margin_s, floor_s in product(space.margin_s, space.floor_s):
            yield {"context": "fit", "margin_s": margin_s, "floor_s": floor_s}
