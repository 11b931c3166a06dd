"""Ledger reader: DuckDB over the Parquet files of finished points and the journals of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from allophone.errors import LedgerError
from allophone.ledger.journal import COUNTS, Row, read_journal
from allophone.ledger.run_record import RunRecord, read_run
from allophone.ledger.sql_paths import parquet_files
from allophone.records.measurement import Measurement

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "MEASUREMENTS",
    "Row",
    "RunReader",
    "check_finished",
    "columns",
    "connect",
    "failed_utterances",
    "make_rows",
    "unreadable",
]

MEASUREMENTS = "measurements"  # the folder in a run

# DuckDB's type of every column; a field of a row without a line here fails at import of the tests.
COLUMN_TYPES: dict[str, str] = {
    "bool": "BOOLEAN",
    "str": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "list[int]": "BIGINT[]",
    "list[float]": "DOUBLE[]",
}

_ADDED = (
    "snr_db",
    "cpu_s",
    "load_average",
    "threads",
    "notice",
    *("character_hits", "character_substitutions", "character_insertions", "character_deletions"),
)  # columns that older runs of the same schema lack; they read as NULL there


def columns(row: type[Row] = Measurement) -> dict[str, str]:
    """Return column names and DuckDB types of the ledger, in order, from the fields of a row."""
    return {field.name: COLUMN_TYPES[str(field.type).removesuffix(" | None")] for field in fields(row)}


class RunReader:
    """What a run's measurements are read through: in a ``with`` block, a DuckDB connection with a view of them.

    An error of DuckDB within the block becomes a :class:`LedgerError` that names the folder and the remedy.

    Args:
        connection: It holds the view ``measurements``.
        measurements: The folder that it reads.
        notices: What was passed over: damaged lines, files of no point of the run.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, measurements: Path, notices: tuple[str, ...]) -> None:
        self._connection = connection
        self._measurements = measurements
        self.notices = notices

    def __enter__(self) -> duckdb.DuckDBPyConnection:
        """Return the connection."""
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        import duckdb

        self._connection.close()
        if isinstance(error, duckdb.Error | UnicodeDecodeError):
            raise unreadable(self._measurements, error) from None


def connect(folder: Path) -> RunReader:
    """Open an in-memory DuckDB with a view ``measurements`` over everything measured so far in a run.

    Finished points are read from Parquet in place, unfinished ones from their journals. Every row is checked to be one
    of the run's, and no row to be there twice.

    Raises:
        LedgerError: The folder is not a run, nothing is measured yet, or a file is damaged or another run's.
    """
    run = read_run(folder)
    measurements = folder / MEASUREMENTS
    while True:
        before = _listing(measurements)
        try:
            return _connected(folder, measurements, run)
        except LedgerError:
            if before == _listing(measurements):
                raise
            # A sweep finished a point, or opened one again, between the look at the folder and the reading.


def _connected(folder: Path, measurements: Path, run: RunRecord) -> RunReader:
    import duckdb

    finished, notices = [], []
    names = {point.name for point in run.points}
    try:
        # Journals first: one that becomes a Parquet file meanwhile is then seen as that.
        journals = [path for path in _listed(measurements, ".jsonl") if path.stem in names]
        for path in _listed(measurements, ".parquet"):
            if path.stem in names:
                finished.append(path)
            else:
                notices.append(f"{path}: not a point of this run; it is passed over.")
        done = {path.stem for path in finished}
        read = [read_journal(path, run, path.stem) for path in journals if path.stem not in done]
    except OSError as error:
        raise unreadable(measurements, error) from None
    lines = [line for journal in read for line in journal.lines]
    notices += [notice for journal in read for notice in journal.notices]
    if not finished and not lines:
        raise LedgerError(f"{folder}: nothing is measured yet. Run its sweep first.")
    connection = duckdb.connect()
    listed = ", ".join(columns(run.row))
    selects = []
    try:
        if finished:
            selects.append(f"SELECT {listed} FROM {check_finished(connection, finished, run)}")
        if lines:
            make_rows(connection, lines, run.row)
            selects.append(f"SELECT {listed} FROM journal_rows")
        connection.execute(f"CREATE VIEW measurements AS {' UNION ALL '.join(selects)}")
    except (duckdb.Error, UnicodeDecodeError) as error:
        connection.close()
        raise unreadable(measurements, error) from None
    except BaseException:
        connection.close()
        raise
    return RunReader(connection, measurements, tuple(notices))


def _listed(measurements: Path, suffix: str) -> list[Path]:
    """Return the files with a suffix, unlike ``glob`` not without those of a folder that may not be read."""
    try:
        return sorted(path for path in measurements.iterdir() if path.suffix == suffix)
    except FileNotFoundError:
        return []


def _listing(measurements: Path) -> list[str]:
    try:
        return sorted(path.name for path in measurements.iterdir())
    except OSError:
        return []


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


def make_rows(connection: duckdb.DuckDBPyConnection, lines: Sequence[str], row: type[Row]) -> None:
    """Make the table ``journal_rows`` of a journal's lines."""
    struct = ", ".join(f'"{name}": "{kind}"' for name, kind in columns(row).items())
    connection.execute(
        f"CREATE TEMP TABLE journal_rows AS SELECT unnest(json_transform(line, '{{{struct}}}')) "
        "FROM (SELECT unnest(?::VARCHAR[]) AS line)",
        [list(lines)],
    )


def check_finished(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], run: RunRecord) -> str:
    """Return the DuckDB table function over finished points, having looked at all of their rows' keys and texts.

    Raises:
        LedgerError: A file holds rows that are not its point's, or not this run's, or some twice, or misses values.
        duckdb.Error: A file is damaged.
    """
    reader = _parquet_reader(paths, run.row)
    required = [field.name for field in fields(run.row) if " | None" not in str(field.type)]
    settings = [name for name in ("normalizer", "relative_to") if hasattr(run, name)]
    seeds = list(getattr(run, "seeds", ()))
    checks = {
        "rows of another point": "point IS DISTINCT FROM parse_filename(filename)[:-9]",
        f"rows of utterances that the run of {run.n_utterances} has not": (
            f"utterance_index NOT BETWEEN 0 AND {run.n_utterances - 1}"
        ),
        "values missing": " OR ".join(f"{name} IS NULL" for name in required),
    }
    if counted := [name for name in COUNTS if name in columns(run.row)]:
        checks["negative counts"] = f"least({', '.join(counted)}) < 0"
    if seeds:
        checks["rows of seeds that the run has not"] = f"seed NOT IN ({', '.join(map(str, seeds))})"
    for name in settings:
        checks[f"rows with another {name} than the run's"] = f"{name} IS DISTINCT FROM $setting_{name}"
    checks = {"rows that are there twice": "", **checks}
    keys = ", ".join(run.keys)
    counts = [f"count(*) FILTER ({condition})" for condition in checks.values() if condition]
    found = connection.execute(
        f"SELECT filename, count(*) - count(DISTINCT row({keys})), {', '.join(counts)} FROM {reader} GROUP BY filename",
        {f"setting_{name}": getattr(run, name) for name in settings},
    ).fetchall()
    for filename, *numbers in found:
        for number, problem in zip(numbers, checks, strict=True):
            if number:
                raise LedgerError(
                    f"{filename}: {number} {problem}. Put the run's own file back, or delete it: the same sweep "
                    "measures it again."
                )
    return reader


def _parquet_reader(paths: Sequence[Path], row: type[Row]) -> str:
    missing = [f"NULL::{kind} AS {name}" for name, kind in columns(row).items() if name in _ADDED]
    files = f"SELECT * FROM {parquet_files(paths)}"
    return f"({files} UNION ALL BY NAME SELECT {', '.join(missing)} WHERE false)" if missing else f"({files})"
