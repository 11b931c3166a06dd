"""Measurements written: journals while a point is measured, one Parquet file when it is whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO

from allophone.errors import LedgerError
from allophone.files import write_whole
from allophone.ledger.readers import MEASUREMENTS, Row, journal_reader, listed_paths, unreadable
from allophone.ledger.run_record import LOCK_FILE, RUN_FILE, AnyRunRecord

__all__ = ["Ledger", "drop_torn_line"]


class Ledger:
    """The writer of one run folder; only one process may hold it.

    A row is appended to its point's journal as soon as it is measured, so a killed process loses at most the row it was
    measuring. When the last utterance of a point is in, the journal becomes ``POINT.parquet``: written whole, renamed,
    and only then is the journal removed.

    Args:
        folder: The run folder; made where it is missing.
        run: What the run measures.

    Raises:
        LedgerError: Another process holds the run, the folder cannot be written, or a file of it is damaged.
    """

    def __init__(self, folder: Path, run: AnyRunRecord) -> None:
        from filelock import FileLock, Timeout

        self.folder = folder
        self.run = run
        self._measurements = folder / MEASUREMENTS
        self._journals: dict[str, IO[str]] = {}
        self._done: dict[str, bytearray] = {}
        self._left: dict[str, int] = {}
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
            write_whole(folder / RUN_FILE, run.model_dump_json(indent=1))
            for point in run.points:
                done = self._recover(point.name)
                self._done[point.name] = done
                self._left[point.name] = run.n_rows - sum(done)
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
                journal.write(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n")
                journal.flush()
            except OSError as error:
                raise self._unwritable(error) from None
            self._done[row.point][slot] = 1
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
                reader = journal_reader([journal], self.run.row)
                rows = f"SELECT * FROM {reader} ORDER BY {', '.join(self.run.keys)}"
                connection.execute(f"COPY ({rows}) TO {listed_paths([partial])[1:-1]} (FORMAT parquet)")
            partial.replace(target)
            journal.unlink()
        except (OSError, duckdb.Error) as error:
            raise self._unwritable(error) from None

    def _recover(self, point: str) -> bytearray:
        import duckdb

        done = bytearray(self.run.n_slots)
        journal, finished = self._journal_path(point), self._measurements / f"{point}.parquet"
        if finished.exists():
            journal.unlink(missing_ok=True)  # killed between the rename and this removal
            reader = f"read_parquet({listed_paths([finished])})"
        elif journal.exists() and drop_torn_line(journal):
            reader = journal_reader([journal], self.run.row)
        else:
            return done
        with duckdb.connect() as connection:
            try:
                rows = connection.execute(f"SELECT {', '.join(self.run.keys)} FROM {reader}").fetchall()
            except duckdb.Error as error:
                raise unreadable(self._measurements, error) from None
            for key in rows:
                done[self.run.slot(key)] = 1
            whole = sum(done) == self.run.n_rows
            if finished.exists() and not whole:  # the run was extended: more rows are wanted than it was finished with
                partial = journal.with_suffix(".partial")
                connection.execute(f"COPY (SELECT * FROM {reader}) TO {listed_paths([partial])[1:-1]} (FORMAT json)")
                partial.replace(journal)
                finished.unlink()
        if whole and not finished.exists():
            self._finish(point)
        return done

    def _unwritable(self, error: Exception) -> LedgerError:
        reason = getattr(error, "strerror", None) or str(error)
        return LedgerError(
            f"{self.folder}: cannot be written: {reason}. Free space or choose another --out; what is measured is kept."
        )


def drop_torn_line(journal: Path) -> bool:
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
