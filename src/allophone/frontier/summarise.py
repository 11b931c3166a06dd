"""A run read and summarised, finished or in progress: the steps that both tasks share, in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from allophone.errors import LedgerError
from allophone.frontier.emotion import EmotionReader, EmotionRunSummary
from allophone.frontier.noise_floor import read_noise
from allophone.frontier.recognition import RecognitionReader, RecognitionRunSummary
from allophone.frontier.run_state import (
    RunState,
    busy_notice,
    count_shared,
    materialise_numbers,
    select_points,
    share_rows,
)
from allophone.frontier.samples import Samples
from allophone.frontier.summary import RunSummary
from allophone.ledger.race_record import read_race
from allophone.ledger.readers import connect, failed_utterances
from allophone.ledger.run_record import read_run
from allophone.records.point import Task

if TYPE_CHECKING:
    import duckdb

__all__ = ["summarise_run"]

Kind = TypeVar("Kind", bound=RunSummary)


class _Reader(Protocol):
    """What differs between the tasks: samples, rows of points, and notices, each read through one connection."""

    @property
    def counted(self) -> Collection[str] | None: ...

    def read_samples(self, connection: duckdb.DuckDBPyConnection, names: tuple[str, ...]) -> Samples: ...

    def summarise_points(
        self, connection: duckdb.DuckDBPyConnection, settings: Sequence[Any], samples: Any
    ) -> tuple[Any, ...]: ...

    def list_notices(self, connection: duckdb.DuckDBPyConnection, state: RunState) -> list[str]: ...


_TASKS: dict[Task, tuple[Callable[[Path, Any], _Reader], Callable[..., RunSummary]]] = {
    "asr": (RecognitionReader, RecognitionRunSummary),
    "emotion": (EmotionReader, EmotionRunSummary),
}


@overload
def summarise_run(folder: Path) -> RunSummary: ...


@overload
def summarise_run(folder: Path, kind: type[Kind]) -> Kind: ...


def summarise_run(folder: Path, kind: type[RunSummary] = RunSummary) -> RunSummary:
    """Summarise a run, finished or in progress.

    Args:
        folder: The run folder.
        kind: The summary of the task that the run must be of; any where it is left out.

    Raises:
        LedgerError: The folder is not a run, nothing is measured, or the points share no utterance.
        UsageError: It is a run of another task.
    """
    run = read_run(folder, kind.record)
    make_reader, make_summary = _TASKS[run.task]
    reader = make_reader(folder, run)
    eliminated = read_race(folder)[1]
    given_up = {item.point for item in eliminated}
    settings = {point.name: point for point in run.points if point.name not in given_up}
    reading = connect(folder)
    with reading as connection:
        materialise_numbers(connection)
        rows = select_points(connection, folder, list(settings), reader.counted)
        share_rows(connection, run.keys, len(rows))
        names = tuple(name for name in settings if name in rows)
        n_shared = count_shared(connection, "utterance_index")
        if not n_shared:
            raise LedgerError(f"{folder}: no utterance is measured at every point yet. Let its sweep go on.")
        samples = replace(reader.read_samples(connection, names), noise=read_noise(connection, folder))
        points = reader.summarise_points(connection, [settings[name] for name in names], samples)
        failures = failed_utterances(folder)
        state = RunState(rows, len(settings), len(given_up), n_shared, len(failures))
        notices = [*reading.notices, *reader.list_notices(connection, state)]
        if busy := busy_notice(connection):
            notices.append(busy)
    return make_summary(run, points, failures, tuple(notices), samples, tuple(eliminated))
