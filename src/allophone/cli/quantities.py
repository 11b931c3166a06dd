"""Durations and sizes as people write them: ``300ms``, ``0.3s``, ``2m``, ``1.5GB``; a bare number has a usual unit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import typer

from allophone.audio.decode import LONGEST_S

__all__ = ["LONGEST", "Quantity", "check_positive", "gigabytes", "megabytes", "minutes", "quantity", "seconds"]

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
_PARTS = re.compile(r"([+-]?[\d.]+(?:e[+-]?\d+)?|[+-]?inf|nan)\s*([a-z]*)", re.IGNORECASE)


class Quantity(float):
    """A number in base units that remembers how it was typed."""

    typed: str

    def __new__(cls, value: float, typed: str) -> Quantity:
        """Keep both."""
        made = super().__new__(cls, value)
        made.typed = typed
        return made

    def __str__(self) -> str:
        """Return it as it was typed."""
        return self.typed

    __repr__ = __str__


LONGEST = Quantity(LONGEST_S, f"{LONGEST_S / 3600:g}h")


def seconds(text: object) -> Quantity:
    """Read a duration; a bare number is in seconds."""
    return _read(text, _SECONDS, "s", "a duration such as 0.3, 300ms, 2m or 1h")


def minutes(text: object) -> Quantity:
    """Read a duration in seconds; a bare number is in minutes."""
    return _read(text, _SECONDS, "m", "a duration such as 30 (minutes), 90s or 1h")


def gigabytes(text: object) -> Quantity:
    """Read a size in bytes; a bare number is in GB."""
    return _read(text, _BYTES, "gb", "a size such as 1.5 (GB), 800MB or 2GiB")


def megabytes(text: object) -> Quantity:
    """Read a size in bytes; a bare number is in MB."""
    return _read(text, _BYTES, "mb", "a size such as 100 (MB), 0.5GB or 64MiB")


def quantity(*names: str, read: Callable[[object], Quantity] = seconds, **others: Any) -> Any:
    """Return the option of a quantity.

    Args:
        names: Spellings of the option, the one that is shown first.
        read: One of the readers here.
        others: As typer's ``Option`` takes them, such as ``help``.
    """
    return typer.Option(*names, parser=read, metavar="DURATION" if read in (seconds, minutes) else "SIZE", **others)


def _read(text: object, units: Mapping[str, float], usual: str, wanted: str) -> Quantity:
    if isinstance(text, Quantity):
        return text
    typed = str(text).strip()
    found = _PARTS.fullmatch(typed)
    unit = (found[2].lower() or usual) if found else ""
    try:
        value = float(found[1]) * units[unit] if found else None
    except (KeyError, ValueError):
        value = None
    if value is None:
        raise typer.BadParameter(f"'{typed}': give {wanted}; units: {', '.join(units)}.")
    return Quantity(value, typed)


def check_positive(option: str, value: float | None, wanted: str, most: float | None = None) -> None:
    """Refuse a limit that is no positive number, in the words and units that it was typed in.

    Args:
        option: As it was typed.
        value: Of the option, None where it was not given; a :class:`Quantity` is shown as typed.
        wanted: What to give, such as ``percent``.
        most: Largest value that means something.

    Raises:
        SpaceError: It is not positive, infinite, or too large.
    """
    from allophone.errors import SpaceError

    if value is None:
        return
    typed = value.typed if isinstance(value, Quantity) else f"{value:g}"
    if not (isfinite(value) and value > 0):
        raise SpaceError(f"{option} {typed}: a limit must be a positive number. Give {wanted}.")
    if most is not None and value > most:
        raise SpaceError(f"{option} {typed}: above {most:g} it limits nothing. Give {wanted}, or leave it out.")
