"""What of a file or of an answer is pinned: its fields and their types, and where asked its values."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from math import isclose
from pathlib import Path
from typing import Any

__all__ = ["abridged", "file_differences", "missing_or_changed", "read_any"]

Json = Any


def missing_or_changed(golden: Json, found: Json, where: str = "", *, values: bool = True) -> Iterator[str]:
    """Say what of a golden value is gone or is another; what came on top is fine.

    Prose (text with a space in it) may be reworded, and a list of prose may grow or shrink. None stands for any type.

    Args:
        golden: What was written once.
        found: What is written today.
        where: Path of the value, for the message.
        values: Whether numbers and names must be the same too, not only fields and types.
    """
    if golden is None or found is None:
        if values and golden is not found:
            yield f"{where}: {golden!r} became {found!r}"
    elif _kind(golden) != _kind(found):
        yield f"{where}: {_kind(golden)} became {_kind(found)} ({golden!r:.60} became {found!r:.60})"
    elif isinstance(golden, dict):
        for key, value in golden.items():
            if key not in found:
                yield f"{where}.{key}: is gone; there are {', '.join(map(str, found))}"
            else:
                yield from missing_or_changed(value, found[key], f"{where}.{key}", values=values)
    elif isinstance(golden, list):
        yield from _list_changes(golden, found, where, values)
    elif values and not _same(golden, found):
        yield f"{where}: {golden!r} became {found!r}"


def _list_changes(golden: list[Json], found: list[Json], where: str, values: bool) -> Iterator[str]:
    if values and len(golden) != len(found) and not all(map(_is_prose, [*golden, *found])):
        yield f"{where}: {len(golden)} items became {len(found)}"
    elif values:
        for place, (one, other) in enumerate(zip(golden, found, strict=False)):
            yield from missing_or_changed(one, other, f"{where}[{place}]")
    elif golden and found:
        yield from missing_or_changed(_merged(golden), _merged(found), f"{where}[]", values=False)


def _kind(value: Json) -> str:
    return type(value).__name__


def _is_prose(value: Json) -> bool:
    return isinstance(value, str) and " " in value


def _same(golden: Json, found: Json) -> bool:
    if isinstance(golden, float):
        return isclose(golden, found, rel_tol=1e-6, abs_tol=1e-9)
    return _is_prose(golden) or bool(golden == found)


def _merged(items: list[Json]) -> Json:
    """One item that has every field of them all: records of a list may leave fields out or empty."""
    if not all(isinstance(item, dict) for item in items):
        return next((item for item in items if item is not None), None)
    keys = dict.fromkeys(key for item in items for key in item)
    return {key: next((item[key] for item in items if item.get(key) is not None), None) for key in keys}


def abridged(value: Json) -> Json:
    """Return a value with nine digits of its numbers, without the middle of long lists of them."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: abridged(item) for key, item in value.items()}
    if isinstance(value, list) and len(value) > 12 and not isinstance(value[0], dict):
        return {"length": len(value), "ends": abridged([value[0], value[-1]])}
    return [abridged(item) for item in value] if isinstance(value, list) else value


def read_any(path: Path) -> Json:
    """Return what pins a file's format: its JSON, its lines' JSON, a table's columns with types, or nothing."""
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_schema

        return {field.name: str(field.type) for field in read_schema(path)}
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else None


def file_differences(golden: Path, found: Path) -> list[str]:
    """Say what fields of a file are gone or have another type; tables may have more columns, none of another type."""
    if not found.is_file():
        return [f"{golden.name}: is not written any more"]
    same_values = golden.suffix == ".parquet"  # there the values are the types
    return list(missing_or_changed(read_any(golden), read_any(found), golden.name, values=same_values))
