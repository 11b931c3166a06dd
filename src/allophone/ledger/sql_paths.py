"""Paths in DuckDB's SQL: a folder called ``exp[1]`` is a folder, not a pattern that finds ``exp1``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from allophone.errors import LedgerError

__all__ = ["parquet_files", "written_path"]


def parquet_files(paths: Sequence[Path]) -> str:
    """Return the DuckDB table function that reads exactly these Parquet files, with a column ``filename``.

    DuckDB reads ``*``, ``?`` and ``[`` in a path as a pattern, a leading ``~`` as the home folder, ``file:`` as a
    scheme, and a folder called ``point=3`` as a column of every file below it; none of that is wanted of a run folder.

    Raises:
        LedgerError: A path is no UTF-8, which DuckDB cannot open.
    """
    listed = ", ".join(_quoted(path, re.sub(r"([*?\[])", r"[\1]", str(path.absolute()))) for path in paths)
    return f"read_parquet([{listed}], union_by_name=true, hive_partitioning=false, filename=true)"


def written_path(path: Path) -> str:
    """Return a path as the DuckDB string of a file to be written; patterns are not read there.

    Raises:
        LedgerError: It is no UTF-8.
    """
    return _quoted(path, str(path.absolute()))


def _quoted(path: Path, text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise LedgerError(f"{path}: its name is no UTF-8, and DuckDB opens no such file. Rename the folder.") from None
    return "'" + text.replace("'", "''") + "'"
