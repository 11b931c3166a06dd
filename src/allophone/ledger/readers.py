"""Measurements read: DuckDB over the Parquet files of finished points and the journals of the others."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.emotion_records import EmotionMeasurement
from allophone.errors import LedgerError
from allophone.ledger.run_record import read_any_run
from allophone.records import Measurement

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "MEASUREMENTS",
    "Row",
    "columns",
    "connect",
    "failed_utterances",
    "journal_reader",
    "listed_paths",
    "unreadable",
]

MEASUREMENTS = "measurements"  # the folder in a run

Row = Measurement | EmotionMeasurement

# DuckDB's type of every column; a field of a row without a line here fails at import of the tests.
COLUMN_TYPES: dict[str, str] = {
    "bool": "BOOLEAN",
    "str": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "list[int]": "BIGINT[]",
    "list[float]": "DOUBLE[]",
}

_ADDED = ("snr_db",)  # columns that older runs of the same schema lack; they read as NULL there


def columns(row: type[Row] = Measurement) -> dict[str, str]:
    """Return column names and DuckDB types of the ledger, in order, from the fields of a row."""
    return {field.name: COLUMN_TYPES[str(field.type).removesuffix(" | None")] for field in fields(row)}


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a view ``measurements`` over everything measured so far in a run.

    Finished points are read from Parquet in place, unfinished ones from their journals.

    Raises:
        LedgerError: The folder is not a run or nothing is measured yet.
    """
    import duckdb

    kind = read_any_run(folder).row
    measurements = folder / MEASUREMENTS
    finished = sorted(measurements.glob("*.parquet"))
    journals = [path for path in sorted(measurements.glob("*.jsonl")) if not path.with_suffix(".parquet").exists()]
    journals = [path for path in journals if path.stat().st_size > 0]
    if not finished and not journals:
        raise LedgerError(f"{folder}: nothing is measured yet. Run its sweep first.")
    connection = duckdb.connect()
    names = ", ".join(columns(kind))
    selects = []
    if finished:
        selects.append(f"SELECT {names} FROM {_parquet_reader(finished, kind)}")
    if journals:
        selects.append(f"SELECT {names} FROM {journal_reader(journals, kind)}")
    try:
        connection.execute(f"CREATE VIEW measurements AS {' UNION ALL '.join(selects)}")
    except duckdb.Error as error:
        connection.close()
        raise unreadable(measurements, error) from None
    return connection


def unreadable(measurements: Path, error: Exception) -> LedgerError:
    """Return what to raise where DuckDB cannot read the files of a folder; its reason names the file."""
    reason = str(error).partition("\n")[0]
    return LedgerError(
        f"{measurements}: cannot be read ({reason}). Use the version that wrote it, or delete a damaged file: the same "
        "sweep measures it again."
    )


def failed_utterances(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return id and reason of every recording of a run that could not be measured, in the corpus's order.

    Raises:
        LedgerError: The folder is not a run or nothing is measured yet.
    """
    with connect(folder) as connection:
        rows = connection.execute(
            "SELECT utterance_id, min(error) FROM measurements WHERE error IS NOT NULL "
            "GROUP BY utterance_id ORDER BY min(utterance_index)"
        ).fetchall()
    return tuple((str(name), str(reason)) for name, reason in rows)


def _parquet_reader(paths: list[Path], row: type[Row]) -> str:
    files = f"SELECT * FROM read_parquet({listed_paths(paths)}, union_by_name=true)"
    missing = [f"NULL::{kind} AS {name}" for name, kind in columns(row).items() if name in _ADDED]
    return f"({files} UNION ALL BY NAME SELECT {', '.join(missing)} WHERE false)" if missing else f"({files})"


def journal_reader(paths: list[Path], row: type[Row]) -> str:
    """Return the DuckDB table function that reads journals of such rows."""
    struct = ", ".join(f"{name}: '{kind}'" for name, kind in columns(row).items())
    # A reader may look while the last line is being written; that line is not a row yet.
    return f"read_json({listed_paths(paths)}, format='newline_delimited', columns={{{struct}}}, ignore_errors=true)"


def listed_paths(paths: list[Path]) -> str:
    """Return paths as a list of DuckDB strings."""
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"
