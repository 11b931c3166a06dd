"""The axes of emotion recognition, and the settings that a plan makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

from allophone.costs.adaptation import setting_adaptation
from allophone.costs.speech import layer_stack
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions
from allophone.dimensions.whisper import WhisperDimensions
from allophone.errors import SpaceError
from allophone.records.point import EmotionSetting
from allophone.sweeps.space import AxisSpace, fill_space

__all__ = [
    "EMOTION_AXES",
    "EMOTION_PLANS",
    "EmotionSpace",
    "distinct_settings",
    "plan_settings",
    "read_emotion_space",
]

EMOTION_PLANS = ("star", "grid", "isoflop", "race")
_CLASSES = 2  # the least there can be: how many there are does not matter to what an encoder can take


class EmotionSpace(AxisSpace):
    """Values of every axis of emotion recognition, the first of each being the centre of a star."""

    model: tuple[str, ...] = ("tiny.en", "base")
    duration_s: tuple[float, ...] = (3.0, 1.0, 2.0, 4.0, 6.0)
    lora_rank: tuple[int, ...] = (0, 8)
    unfrozen_layers: tuple[int | Literal["all"], ...] = (0, 2)


EMOTION_AXES: tuple[str, ...] = tuple(EmotionSpace.model_fields)


def read_emotion_space(
    path: Path | None = None, models: Sequence[str] | None = None, axes: Mapping[str, Sequence[Any]] | None = None
) -> EmotionSpace:
    """Build a space from a TOML file and from values that take precedence over it, as ``read_space`` does.

    Args:
        path: A TOML file with one key an axis, e.g. ``unfrozen_layers = [0, 2, "all"]``.
        models: As in :func:`allophone.sweeps.space.read_space`, as what follows.
        axes: Values of other axes.

    Raises:
        UsageError: As that.
        SpaceError: Likewise.
    """

    def make_point(name: str, value: Any) -> None:
        EmotionSetting.model_validate({"model": "any", name: value})

    return fill_space(EmotionSpace, make_point, path, models, axes)


def plan_settings(
    space: EmotionSpace, plan: str, dimensions: Mapping[str, WhisperDimensions | SpeechEncoderDimensions]
) -> list[EmotionSetting]:
    """Return the settings of a plan, each once, models outermost.

    ``star`` varies one axis at a time round the centre, for every model; ``grid`` is every combination; ``race`` is
    every combination too, but gives up points after a fold, and ``isoflop`` takes of them those that meet a budget
    (:func:`allophone.sweeps.emotion.plan.plan_emotion`).

    Args:
        space: The axes.
        plan: The plan's name.
        dimensions: Of every model's encoder.

    Raises:
        SpaceError: Unknown plan, one that is for speech recognition alone, or a rank or depth that an encoder cannot
            take.
    """
    if plan not in EMOTION_PLANS:
        raise SpaceError(
            f"plan '{plan}' is not for emotion recognition, where every point must be trained; plans there: "
            f"{', '.join(EMOTION_PLANS)}."
        )
    return distinct_settings(_star(space) if plan == "star" else _grid(space), dimensions)


def distinct_settings(
    settings: Iterable[EmotionSetting], dimensions: Mapping[str, WhisperDimensions | SpeechEncoderDimensions]
) -> list[EmotionSetting]:
    """Return settings each once: of those that train the same parameters the first stays.

    Four layers of an encoder of four and ``all``, for example, are one.

    Args:
        settings: In any order, which is kept.
        dimensions: Of every model's encoder.

    Raises:
        SpaceError: A rank or depth that an encoder cannot take.
    """
    distinct: dict[tuple[object, ...], EmotionSetting] = {}
    for setting in settings:
        dims = dimensions[setting.model]
        try:
            adaptation = setting_adaptation(setting, layer_stack(dims).layers, _CLASSES)
            adaptation.check(dims)
        except SpaceError as error:
            raise SpaceError(f"model '{setting.model}' cannot take {setting.name}: {error}") from None
        same = (setting.model, setting.duration_s, adaptation.lora_rank, adaptation.unfrozen_layers)
        distinct.setdefault(same, setting)
    return list(distinct.values())


def _star(space: EmotionSpace) -> Iterator[EmotionSetting]:
    for model in space.model:
        centre = {name: values[0] for name, values in space.axes().items()} | {"model": model}
        yield EmotionSetting(**centre)
        for name in EMOTION_AXES[1:]:
            for value in getattr(space, name)[1:]:
                yield EmotionSetting(**{**centre, name: value})


def _grid(space: EmotionSpace) -> Iterator[EmotionSetting]:
    for values in product(*(getattr(space, name) for name in EMOTION_AXES)):
        yield EmotionSetting(**dict(zip(EMOTION_AXES, values, strict=True)))
