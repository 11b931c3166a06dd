"""Measurements on disk: journals while a point is measured, one Parquet file when it is whole."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from allophone.errors import LedgerError
from allophone.files import write_whole
from allophone.ledger.run_record import RUN_FILE, RunRecord, read_run
from allophone.records import Measurement

if TYPE_CHECKING:
    import duckdb

__all__ = ["Ledger", "connect", "failed_utterances"]

# DuckDB's type of every column; a field of Measurement without a row here fails at import of the tests.
COLUMN_TYPES: dict[str, str] = {
    "str": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "list[int]": "BIGINT[]",
    "list[float]": "DOUBLE[]",
}


def columns() -> dict[str, str]:
    """Return column names and DuckDB types of the ledger, in order, from the fields of ``Measurement``."""
    return {field.name: COLUMN_TYPES[str(field.type).removesuffix(" | None")] for field in fields(Measurement)}


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a view ``measurements`` over everything measured so far in a run.

    Finished points are read from Parquet in place, unfinished ones from their journals.

    Raises:
        LedgerError: The folder is not a run or nothing is measured yet.
    """
    import duckdb

    read_run(folder)
    measurements = folder / "measurements"
    finished = sorted(measurements.glob("*.parquet"))
    journals = [path for path in sorted(measurements.glob("*.jsonl")) if not path.with_suffix(".parquet").exists()]
    journals = [path for path in journals if path.stat().st_size > 0]
    if not finished and not journals:
        raise LedgerError(f"{folder}: nothing is measured yet. Run its sweep first.")
    connection = duckdb.connect()
    names = ", ".join(columns())
    selects = []
    if finished:
        selects.append(f"SELECT {names} FROM read_parquet({_literal(finished)})")
    if journals:
        selects.append(f"SELECT {names} FROM {_journal_reader(journals)}")
    try:
        connection.execute(f"CREATE VIEW measurements AS {' UNION ALL '.join(selects)}")
    except duckdb.Error as error:
        connection.close()
        reason = str(error).partition("\n")[0]
        raise LedgerError(
            f"{measurements}: cannot be read ({reason}). Use the version that wrote it, or sweep into a new folder."
        ) from None
    return connection


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


class Ledger:
    """The writer of one run folder; only one process may hold it.

    A row is appended to its point's journal as soon as it is measured, so a killed process loses at most the row it was
    measuring. When the last utterance of a point is in, the journal becomes ``POINT.parquet``: written whole, renamed,
    and only then is the journal removed.

    Args:
        folder: The run folder; made where it is missing.
        run: What the run measures.

    Raises:
        LedgerError: Another process holds the run, or the folder cannot be written.
    """

    def __init__(self, folder: Path, run: RunRecord) -> None:
        from filelock import FileLock, Timeout

        self.folder = folder
        self.run = run
        self._measurements = folder / "measurements"
        self._journals: dict[str, IO[str]] = {}
        self._done: dict[str, bytearray] = {}
        self._left: dict[str, int] = {}
        try:
            self._measurements.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / ".lock")
            self._lock.acquire(blocking=False)
        except Timeout:
            raise LedgerError(
                f"{folder}: another sweep is writing this run. Wait for it, or choose another --out."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            write_whole(folder / RUN_FILE, run.model_dump_json(indent=1))
            for point in run.points:
                done = self._recover(point.name)
                self._done[point.name] = done
                self._left[point.name] = len(done) - sum(done)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Ledger:
        """Return the ledger itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the journals and let the run go."""
        self.close()

    def is_done(self, point: str, utterance_index: int) -> bool:
        """Return whether this utterance has a row at this point."""
        return bool(self._done[point][utterance_index])

    def count_done(self, point: str) -> int:
        """Return how many utterances have a row at this point."""
        return len(self._done[point]) - self._left[point]

    def append(self, rows: list[Measurement]) -> None:
        """Write rows down; a point whose last row this is becomes a Parquet file.

        Raises:
            LedgerError: The disk is full or the folder cannot be written; rows written before are kept.
        """
        for row in rows:
            if self._done[row.point][row.utterance_index]:
                continue
            try:
                journal = self._journals.get(row.point)
                if journal is None:
                    journal = self._journal_path(row.point).open("a", encoding="utf-8")
                    self._journals[row.point] = journal
                journal.write(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n")
                journal.flush()
            except OSError as error:
                raise self._unwritable(error) from None
            self._done[row.point][row.utterance_index] = 1
            self._left[row.point] -= 1
            if self._left[row.point] == 0:
                self._finish(row.point)

    def close(self) -> None:
        """Close the journals and release the run."""
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()
        self._lock.release()

    def _journal_path(self, point: str) -> Path:
        return self._measurements / f"{point}.jsonl"

    def _finish(self, point: str) -> None:
        import duckdb

        if point in self._journals:
            self._journals.pop(point).close()
        journal = self._journal_path(point)
        target = self._measurements / f"{point}.parquet"
        partial = target.with_suffix(".partial")
        try:
            with duckdb.connect() as connection:
                connection.execute("SET memory_limit = '256MB'")
                reader = _journal_reader([journal])
                rows = f"SELECT * FROM {reader} ORDER BY utterance_index"
                connection.execute(f"COPY ({rows}) TO {_literal([partial])[1:-1]} (FORMAT parquet)")
            partial.replace(target)
            journal.unlink()
        except (OSError, duckdb.Error) as error:
            raise self._unwritable(error) from None

    def _recover(self, point: str) -> bytearray:
        import duckdb

        done = bytearray(self.run.n_utterances)
        journal, finished = self._journal_path(point), self._measurements / f"{point}.parquet"
        if finished.exists():
            journal.unlink(missing_ok=True)  # killed between the rename and this removal
            reader = f"read_parquet({_literal([finished])})"
        elif journal.exists() and _drop_torn_line(journal):
            reader = _journal_reader([journal])
        else:
            return done
        with duckdb.connect() as connection:
            for (index,) in connection.execute(f"SELECT utterance_index FROM {reader}").fetchall():
                done[index] = 1
        if all(done) and not finished.exists():
            self._finish(point)
        return done

    def _unwritable(self, error: Exception) -> LedgerError:
        reason = getattr(error, "strerror", None) or str(error)
        return LedgerError(
            f"{self.folder}: cannot be written: {reason}. Free space or choose another --out; what is measured is kept."
        )


def _journal_reader(paths: list[Path]) -> str:
    struct = ", ".join(f"{name}: '{kind}'" for name, kind in columns().items())
    # A reader may look while the last line is being written; that line is not a row yet.
    return f"read_json({_literal(paths)}, format='newline_delimited', columns={{{struct}}}, ignore_errors=true)"


def _literal(paths: list[Path]) -> str:
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"


def _drop_torn_line(journal: Path) -> bool:
    """Cut off what follows the last newline; return whether anything is left."""
    with journal.open("rb+") as file:
        end = file.seek(0, 2)
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return True
            end = start
        file.truncate(0)
        return False
