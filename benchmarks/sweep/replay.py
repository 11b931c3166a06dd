"""An executor that answers tasks from the rows of a finished run: the real searches run, and no model does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from allophone.ledger.readers import columns, connect
from allophone.records.measurement import Measurement
from allophone.sweeps.recognition.executor import Executor, MakeExecutor, WeightsKey
from allophone.sweeps.recognition.worker import Settings, Task, TaskResult

__all__ = ["Rows", "read_rows", "replaying"]

Rows = dict[tuple[str, int], Measurement]


class ReplayExecutor:
    """Gives back recorded rows, times included; ``seconds`` is what each point alone paid.

    Args:
        rows: By point and place in the corpus.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def run(self, tasks: Iterable[tuple[WeightsKey, Task]]) -> Iterator[TaskResult]:
        """Yield one result a task; a row that was never recorded is a KeyError."""
        for _, task in tasks:
            rows = [self._rows[point.name, task.index] for point in task.points]
            yield TaskResult(task.index, rows, sum(row.latency_s for row in rows))


def replaying(rows: Rows) -> MakeExecutor:
    """Return what ``sweep(executor=...)`` takes, answering from these rows."""

    def make(settings: Settings, workers: int) -> ReplayExecutor:
        return ReplayExecutor(rows)

    return make


def read_rows(folder: Path) -> Rows:
    """Read all rows of a run."""
    with connect(folder) as connection:
        found = connection.execute(f"SELECT {', '.join(columns())} FROM measurements").fetchall()
    rows: list[dict[str, Any]] = [dict(zip(columns(), values, strict=True)) for values in found]
    for row in rows:
        row |= {"token_logprobs": [], "token_entropies": []}  # no search reads them, and they are most of a row
    return {(row["point"], row["utterance_index"]): Measurement(**row) for row in rows}
