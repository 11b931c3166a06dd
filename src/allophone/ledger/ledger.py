"""Ledger writer: journals while a point is measured, one Parquet file when it is whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from allophone.errors import LedgerError
from allophone.files import write_whole
from allophone.ledger.journal import Row, drop_torn_line, journal_line, read_journal
from allophone.ledger.readers import MEASUREMENTS, check_finished, columns, make_rows, unreadable
from allophone.ledger.run_record import LOCK_FILE, RUN_FILE, RunRecord
from allophone.ledger.sql_paths import written_path

if TYPE_CHECKING:
    import duckdb

__all__ = ["Ledger"]


class Ledger:
    """The writer of one run folder; only one process may hold it.

    A row is appended to its point's journal as soon as it is measured, so a killed process loses at most the row it was
    measuring. When the last utterance of a point is in, the journal becomes ``POINT.parquet``: written whole, renamed,
    and only then is the journal removed. Nothing is removed before its rows are known to be this run's. Damaged lines
    of a journal are left out and measured again; ``notices`` names them.

    Args:
        folder: The run folder; made where it is missing.
        run: What the run measures.

    Raises:
        LedgerError: Another process holds the run, the folder cannot be written, or a file of it is damaged or
            another run's.
    """

    def __init__(self, folder: Path, run: RunRecord) -> None:
        from filelock import FileLock, Timeout

        self.folder = folder
        self.run = run
        self._measurements = folder / MEASUREMENTS
        self._journals: dict[str, IO[str]] = {}
        self._done: dict[str, bytearray] = {}
        self._left: dict[str, int] = {}
        self.notices: list[str] = []
        try:
            self._measurements.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK_FILE)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise LedgerError(
                f"{folder}: another sweep is writing this run. Wait for it, or choose another --out."
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            for point in run.points:
                done = self._recover(point.name)
                self._done[point.name] = done
                self._left[point.name] = run.n_rows - sum(done)
            write_whole(folder / RUN_FILE, run.model_dump_json(indent=1))
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Ledger:
        """Return the ledger itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the journals and let the run go; what a full disk says of that is no second error."""
        with suppress(LedgerError) if error is not None else nullcontext():
            self.close()

    def is_done(self, point: str, *key: int) -> bool:
        """Return whether there is a row at this point with these keys: an utterance's index and whatever follows."""
        return bool(self._done[point][self.run.slot(key)])

    def count_done(self, point: str) -> int:
        """Return how many rows there are at this point."""
        return self.run.n_rows - self._left[point]

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows down; a point whose last row this is becomes a Parquet file.

        Raises:
            LedgerError: The disk is full or the folder cannot be written; rows written before are kept.
        """
        for row in rows:
            slot = self.run.slot(tuple(getattr(row, key) for key in self.run.keys))
            if self._done[row.point][slot]:
                continue
            try:
                journal = self._journals.get(row.point)
                if journal is None:
                    journal = self._journal_path(row.point).open("a", encoding="utf-8")
                    self._journals[row.point] = journal
                journal.write(journal_line(row))
                journal.flush()
            except OSError as error:
                raise self._unwritable(error) from None
            self._done[row.point][slot] = 1
            self._left[row.point] -= 1
            if self._left[row.point] == 0:
                self._finish(row.point)

    def close(self) -> None:
        """Close the journals and release the run.

        Raises:
            LedgerError: A journal's last row could not be written; the run is released all the same.
        """
        failed: OSError | None = None
        for journal in self._journals.values():
            try:
                journal.close()  # tries to write once more what a full disk did not take
            except OSError as error:
                failed = error
        self._journals.clear()
        self._lock.release()
        if failed is not None:
            raise self._unwritable(failed) from None

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
                make_rows(connection, read_journal(journal, self.run, point).lines, self.run.row)
                rows = f"SELECT * FROM journal_rows ORDER BY {', '.join(self.run.keys)}"
                connection.execute(f"COPY ({rows}) TO {written_path(partial)} (FORMAT parquet)")
            partial.replace(target)
            journal.unlink()
        except (OSError, duckdb.Error) as error:
            raise self._unwritable(error) from None

    def _recover(self, point: str) -> bytearray:
        import duckdb

        journal, finished = self._journal_path(point), self._measurements / f"{point}.parquet"
        try:
            if finished.exists():
                with duckdb.connect() as connection:
                    done = self._read_finished(connection, finished)
                    journal.unlink(missing_ok=True)  # killed between the rename and this removal
                    if sum(done) < self.run.n_rows:  # the run was extended: more rows are wanted than it had
                        self._reopen(connection, finished, journal)
                return done
            done = bytearray(self.run.n_slots)
            if not journal.exists():
                return done
            found = read_journal(journal, self.run, point)
            if found.notices:
                write_whole(journal, "".join(f"{line}\n" for line in found.lines))
                self.notices += found.notices
            else:
                drop_torn_line(journal)
        except duckdb.Error as error:
            raise unreadable(self._measurements, error) from None
        except OSError as error:
            raise self._unwritable(error) from None
        for row in found.rows:
            done[self.run.slot(tuple(row[key] for key in self.run.keys))] = 1
        if sum(done) == self.run.n_rows:
            self._finish(point)
        return done

    def _read_finished(self, connection: duckdb.DuckDBPyConnection, finished: Path) -> bytearray:
        done = bytearray(self.run.n_slots)
        reader = check_finished(connection, [finished], self.run)
        for key in connection.execute(f"SELECT {', '.join(self.run.keys)} FROM {reader}").fetchall():
            done[self.run.slot(key)] = 1
        return done

    def _reopen(self, connection: duckdb.DuckDBPyConnection, finished: Path, journal: Path) -> None:
        names = list(columns(self.run.row))
        reader = check_finished(connection, [finished], self.run)
        rows = connection.execute(f"SELECT {', '.join(names)} FROM {reader}").fetchall()
        lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows]
        write_whole(journal, "".join(lines))
        finished.unlink()

    def _unwritable(self, error: Exception) -> LedgerError:
        reason = getattr(error, "strerror", None) or str(error)
        return LedgerError(
            f"{self.folder}: cannot be written: {reason}. Free space or choose another --out; what is measured is kept."
        )
