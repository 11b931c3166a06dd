"""Append-only JSON Lines of records: a kill costs the last one at most."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from allophone.errors import LedgerError
from allophone.ledger.journal import drop_torn_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["append_records", "read_records"]

Record = TypeVar("Record")


def append_records(path: Path, records: Iterable[DataclassInstance]) -> None:
    """Append records, behind the last whole line.

    Raises:
        LedgerError: The folder cannot be written.
    """
    try:
        if path.exists():
            drop_torn_line(path)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records)
    except OSError as error:
        raise LedgerError(f"{path}: cannot be written: {error.strerror}. What is measured is kept.") from None


def read_records(path: Path, make: Callable[..., Record], remedy: str) -> Iterator[Record]:
    """Yield a file's records; none where there is no file. A last line that a kill cut short is none yet.

    Args:
        path: The file.
        make: Makes a record from its fields.
        remedy: What to do about a damaged file.

    Raises:
        LedgerError: The file cannot be read, or a line is damaged.
    """
    if not path.exists():
        return
    try:
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            yield make(**json.loads(line))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise LedgerError(f"{path}: damaged ({error}). {remedy}") from None
