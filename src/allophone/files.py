"""Files written whole or not at all, and records read back with an error that names file, field and remedy."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from allophone.errors import AllophoneError, LedgerError, UsageError

__all__ = [
    "file_sha256",
    "finite_or_null",
    "first_problem",
    "json_text",
    "load_json",
    "load_toml",
    "read_json",
    "read_record",
    "whole_file",
    "write_whole",
]

Record = TypeVar("Record", bound=BaseModel)
_BLOCK = 1 << 20
_LONGEST_NAME = 200  # bytes; file systems take 255, and a hidden partial name is longer than its target's


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path beside the wanted one to write to, and put it in place when the block ends without an error.

    Raises:
        LedgerError: The folder cannot be written.
    """
    name = path.name if len(os.fsencode(path.name)) <= _LONGEST_NAME else sha256(os.fsencode(path.name)).hexdigest()
    partial = path.with_name(f".{name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise LedgerError(f"{path}: cannot be written: {reason}. Free or choose another folder.") from None
    finally:
        with suppress(OSError):  # where the folder is no folder, the error above says so
            partial.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        LedgerError: The folder cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_record(
    path: Path,
    kind: type[Record],
    version: int,
    remedy: str,
    *,
    error: type[AllophoneError] = UsageError,
    unreadable: type[AllophoneError] = UsageError,
) -> Record:
    """Read a record with a field ``schema_version`` from a JSON file.

    Args:
        path: The file.
        kind: What it holds.
        version: The schema version that is understood.
        remedy: A sentence that ends every message.
        error: Raised for contents that are wrong.
        unreadable: Raised where there is no such file, or it cannot be opened.

    Raises:
        AllophoneError: As said above; the message names the file, the field and the remedy.
    """
    fields = read_json(path, remedy, error=error, unreadable=unreadable)
    found = fields.get("schema_version") if isinstance(fields, dict) else None
    if found != version:
        raise error(f"{path}: field 'schema_version' is {found}, expected {version}. {remedy}")
    try:
        return kind.model_validate(fields)
    except ValidationError as caught:
        raise error(f"{path}: {first_problem(caught)}. {remedy}") from None


def read_json(
    path: Path,
    remedy: str,
    *,
    error: type[AllophoneError] = UsageError,
    unreadable: type[AllophoneError] = UsageError,
) -> Any:
    """Read whatever a JSON file holds; arguments and errors are those of :func:`read_record`."""
    try:
        return load_json(path)
    except OSError as caught:
        raise unreadable(f"{path}: cannot be read ({caught.strerror}). {remedy}") from None
    except ValueError as caught:
        raise error(f"{path}: not valid JSON ({caught}). {remedy}") from None


def load_json(path: Path) -> Any:
    """Read whatever a JSON file holds.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not valid JSON, or nested deeper than any file of ours.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def json_text(fields: Any) -> str:
    """Return plain data as JSON; numbers that are unknown or unbounded become null, since JSON has no NaN."""
    return json.dumps(finite_or_null(fields), indent=1, ensure_ascii=False, allow_nan=False)


def finite_or_null(value: Any) -> Any:
    """Return plain data with None in the place of NaN and infinities; tuples become lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: finite_or_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_null(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def load_toml(path: Path, remedy: str) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.
        remedy: A sentence that ends the message where it cannot be read.

    Raises:
        UsageError: It cannot be read, or is not TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        fields: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: cannot be read ({why}). {remedy}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}. {remedy}") from None
    return fields


def first_problem(error: ValidationError) -> str:
    """Name the first field that is wrong, and what is wrong with it."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"field '{field}': {first['msg']}"


def file_sha256(*paths: Path) -> str:
    """Return the SHA-256 of files, one after another as if they were one."""
    digest = sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
