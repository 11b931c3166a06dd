"""Sweep plans: which points of a search space are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Literal, get_args

from allophone.corpora.corpus import Corpus
from allophone.dimensions.moonshine import MOONSHINE_MODELS, RecognitionDimensions, recognition_dimensions
from allophone.errors import SpaceError
from allophone.models.engine import FAKE_PREFIX
from allophone.models.weights import locate_weights
from allophone.records.point import OperatingPoint
from allophone.sweeps.isoflop import check_budgets, isoflop_points
from allophone.sweeps.recognition.forecast import sample_durations
from allophone.sweeps.space import DEFAULT_TAIL, SearchSpace
from allophone.transcription.defaults import default_tail

__all__ = ["ARMS", "Plan", "model_dimensions", "plan_points"]

Plan = Literal["star", "grid", "isoflop", "race", "joint"]

# Axes that vary alone in a star; the context axes are one arm, since the fit axes mean nothing at full context.
ARMS = ("window_s", "token_stride", "speed", "compute_type", "beam_size")
_FIT_AXES = ("margin_s", "floor_s", "tail", "guard")


def plan_points(
    space: SearchSpace, plan: str, *, corpus: Corpus | None = None, budgets_gflops: Sequence[float] = ()
) -> list[OperatingPoint]:
    """Return the points of a plan, each once, models outermost.

    ``star`` varies one axis at a time round the centre (the first value of each axis), for every model; ``grid`` is
    every combination; ``isoflop`` is those combinations whose predicted compute on the corpus meets a budget; ``race``
    is every combination too, but gives up points on the way (:mod:`allophone.sweeps.race`); ``joint`` measures only
    some of them (:mod:`allophone.sweeps.recognition.joint`).

    Args:
        space: The axes.
        plan: The plan's name.
        corpus: What will be measured; ``isoflop`` needs its lengths.
        budgets_gflops: Executed GFLOPs per utterance, for ``isoflop`` alone.

    Raises:
        SpaceError: Unknown plan, budgets for a plan that takes none, or a budget that no combination meets.
        UnknownModelError: ``isoflop`` with a model whose dimensions are not known.
    """
    if plan not in get_args(Plan):
        raise SpaceError(f"unknown plan '{plan}'; known plans: {', '.join(get_args(Plan))}.")
    check_budgets(plan, budgets_gflops)
    points = list(dict.fromkeys(_star(space) if plan == "star" else _grid(space)))
    if plan != "isoflop":
        return points
    if corpus is None:
        raise SpaceError("plan isoflop needs a corpus.")
    dimensions = model_dimensions(space.model)
    return isoflop_points(points, budgets_gflops, sample_durations(corpus)[0], dimensions)


def model_dimensions(models: Sequence[str]) -> dict[str, RecognitionDimensions]:
    """Return the dimensions of every model, read off its weights where they are here, else from the table.

    Raises:
        UnknownModelError: A model is neither here nor in the table.
    """
    return {model: _dimensions(model) for model in models}


def _dimensions(model: str) -> RecognitionDimensions:
    if model.startswith(FAKE_PREFIX):
        return recognition_dimensions(model.removeprefix(FAKE_PREFIX))
    if model in MOONSHINE_MODELS:
        return MOONSHINE_MODELS[model]
    found = locate_weights(model)
    return found.dimensions if found is not None else recognition_dimensions(model)


def _star(space: SearchSpace) -> Iterator[OperatingPoint]:
    for model in space.model:
        contexts = list(_contexts(space, model))
        centre: dict[str, Any] = {"model": model, **contexts[0]}
        centre |= {arm: getattr(space, arm)[0] for arm in ARMS}
        yield OperatingPoint(**centre)
        for context in contexts[1:]:
            yield OperatingPoint(**{**centre, **context})
        for arm in ARMS:
            for value in getattr(space, arm)[1:]:
                yield OperatingPoint(**{**centre, arm: value})


def _grid(space: SearchSpace) -> Iterator[OperatingPoint]:
    for model in space.model:
        for context in _contexts(space, model):
            for values in product(*(getattr(space, arm) for arm in ARMS)):
                yield OperatingPoint(model=model, **context, **dict(zip(ARMS, values, strict=True)))


def _contexts(space: SearchSpace, model: str) -> Iterator[dict[str, Any]]:
    for context in space.context:
        if context == "full":
            yield {"context": "full"}
            continue
        for values in product(*(getattr(space, axis) for axis in _FIT_AXES)):
            fit = dict(zip(_FIT_AXES, values, strict=True))
            if fit["tail"] == DEFAULT_TAIL:
                fit["tail"] = default_tail(model)
            yield {"context": "fit", **fit}
