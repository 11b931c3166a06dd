"""Search space: the values that each axis may take, from flags, a TOML file, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from allophone.dimensions.whisper import TRAINED_CONTEXT_S
from allophone.errors import SpaceError
from allophone.files import load_toml
from allophone.records.point import ComputeType, Context, OperatingPoint

__all__ = [
    "AXES",
    "DEFAULT_TAIL",
    "AxisSpace",
    "SearchSpace",
    "fill_space",
    "parse_axes",
    "parse_numbers",
    "read_space",
    "space_of_point",
]


DEFAULT_TAIL = "default"


class AxisSpace(BaseModel):
    """Values of axes, the fields of a subclass: of each one at least and none twice, the first the centre of a star."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*")
    @classmethod
    def _some_and_distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            raise ValueError("an axis needs at least one value")
        if len(set(values)) < len(values):
            raise ValueError("a value occurs twice")
        return values

    def axes(self) -> dict[str, list[Any]]:
        """Return the axes as plain lists, in the order of the vocabulary."""
        return {name: list(values) for name, values in self.model_dump().items()}


class SearchSpace(AxisSpace):
    """Values of every axis, the first of each being the centre of a star.

    ``margin_s``, ``floor_s``, ``tail`` and ``guard`` belong to ``context=fit``; a space that names them and no context
    means both contexts. The centre by default is :func:`allophone.transcription.defaults.default_point` of tiny.en and
    base; the tail ``default`` is that of each model, ``learned-64`` or ``all``.
    """

    model: tuple[str, ...] = ("tiny.en", "base")
    window_s: tuple[float, ...] = (TRAINED_CONTEXT_S,)
    context: tuple[Context, ...] = ("fit", "full")
    margin_s: tuple[float, ...] = (1.0,)
    floor_s: tuple[float, ...] = (0.0,)
    tail: tuple[str, ...] = (DEFAULT_TAIL,)
    guard: tuple[bool, ...] = (True,)
    token_stride: tuple[int, ...] = (1, 2)
    speed: tuple[float, ...] = (1.0,)
    compute_type: tuple[ComputeType, ...] = ("int8",)
    beam_size: tuple[int, ...] = Field(default=(5, 1))


Space = TypeVar("Space", bound=AxisSpace)
AXES: tuple[str, ...] = tuple(SearchSpace.model_fields)


def read_space(
    path: Path | None = None, models: Sequence[str] | None = None, axes: Mapping[str, Sequence[Any]] | None = None
) -> SearchSpace:
    """Build a space from a TOML file and from values that take precedence over it.

    Args:
        path: A TOML file with one key an axis, e.g. ``token_stride = [1, 2, 4]``.
        models: Values of the axis ``model``.
        axes: Values of other axes, as strings or numbers.

    Raises:
        UsageError: The file cannot be read or is not TOML.
        SpaceError: An axis is unknown, a value is impossible, or the same axis is given twice.
    """

    def make_point(name: str, value: Any) -> None:
        if (name, value) == ("tail", DEFAULT_TAIL):
            return
        OperatingPoint.model_validate({"model": "any", "context": "fit", name: value})

    return fill_space(SearchSpace, make_point, path, models, axes)


def space_of_point(point: OperatingPoint) -> SearchSpace:
    """Return the space that holds this operating point alone, to measure a chosen one again."""
    values = {name: (getattr(point, name),) for name in AXES if getattr(point, name) is not None}
    return SearchSpace.model_validate(values)


def fill_space(
    kind: type[Space],
    make_point: Callable[[str, Any], None],
    path: Path | None,
    models: Sequence[str] | None,
    axes: Mapping[str, Sequence[Any]] | None,
) -> Space:
    """Build a space of a kind, as :func:`read_space`.

    Args:
        kind: Whose fields are the axes.
        make_point: Makes a point with this axis at this value, to refuse what no plan could combine.
        path: As in :func:`read_space`, as all that follow.
        models: Values of the axis ``model``.
        axes: Values of other axes.

    Raises:
        UsageError: As :func:`read_space`.
        SpaceError: Likewise.
    """
    values: dict[str, Any] = {}
    if path is not None:
        values = load_toml(path, "Give a TOML file with one key an axis.")
    values.update(axes or {})
    if models:
        if axes and "model" in axes:
            raise SpaceError("axis 'model' is given twice: by --models and by --axis. Use one of them.")
        values["model"] = list(models)
    where = f"{path}: " if path else ""
    known = tuple(kind.model_fields)
    for name in values:
        if name not in known:
            raise SpaceError(f"{where}unknown axis '{name}'; known axes: {', '.join(known)}.")
    values = {name: value if isinstance(value, list | tuple) else [value] for name, value in values.items()}
    try:
        space = kind.model_validate(values)
        for name in known:  # every value must make a valid point, whichever plan combines it
            for value in getattr(space, name):
                make_point(name, value)
    except ValidationError as error:
        first = error.errors()[0]
        axis = str(first["loc"][0]) if first["loc"] else "?"
        given = first["input"]
        problem = first["msg"]
        if first["type"] == "string_pattern_mismatch":  # the tail's; its pattern is not for people
            problem = "write none, all, every-N with N from 2, last-N, learned, learned-N or default"
        raise SpaceError(f"{where}axis '{axis}', value {given!r}: {_lower_first(problem)}.") from None
    return space


def parse_axes(flags: Sequence[str]) -> dict[str, list[str]]:
    """Parse ``NAME=VALUE,VALUE`` flags.

    Raises:
        SpaceError: A flag has another form, or names an axis a second time.
    """
    axes: dict[str, list[str]] = {}
    for flag in flags:
        name, equals, listed = flag.partition("=")
        values = [value.strip() for value in listed.split(",") if value.strip()]
        if not equals or not values:
            raise SpaceError(f"--axis '{flag}': write NAME=VALUE,VALUE, for example --axis token_stride=1,2,4.")
        if name.strip() in axes:
            raise SpaceError(f"--axis '{name.strip()}' is given twice. List all its values in one flag.")
        axes[name.strip()] = values
    return axes


def parse_numbers(flag: str, listed: str | None) -> list[float]:
    """Parse a flag's comma-separated numbers; none where it is not given.

    Raises:
        SpaceError: One is not a number.
    """
    try:
        return [float(value) for value in (listed or "").split(",") if value.strip()]
    except ValueError:
        raise SpaceError(f"{flag} '{listed}': write numbers, for example {flag} 20,40,80.") from None


def _lower_first(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
