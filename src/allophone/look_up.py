"""Look-up by name in a table, with an error that lists the names that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from allophone.errors import AllophoneError

__all__ = ["look_up"]

Row = TypeVar("Row")


def look_up(
    table: Mapping[str, Row], name: str, what: str, known: str, error: type[AllophoneError], remedy: str = ""
) -> Row:
    """Return the row of that name.

    Args:
        table: By name.
        name: The row asked for.
        what: What a row is.
        known: The same in the plural, before the names that there are.
        error: Raised where there is no such row.
        remedy: What ends the message.

    Raises:
        AllophoneError: As said above; the message lists the known names.
    """
    if name not in table:
        raise error(f"unknown {what} '{name}'; known {known}: {', '.join(table)}{remedy}")
    return table[name]
