"""Progress of a run: which points have rows, and what a reader of their comparison must know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.errors import LedgerError

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "RunState",
    "busy_notice",
    "count_shared",
    "is_busy",
    "materialise_numbers",
    "progress_notices",
    "select_points",
    "share_rows",
]

_BUSY = "Other work ran"
LONGEST_WAIT = 1.1  # wall over processor time; above it a thread waits for a processor, or for a disk
OTHERS_LOAD = 0.5  # threads of others that ran or waited, mean of a minute


def is_busy(notice: str) -> bool:
    """Return whether a notice is that of :func:`busy_notice`."""
    return notice.startswith(_BUSY)


_MEDIANS = """
SELECT median(latency_s / nullif(cpu_s, 0)), median(load_average), median(threads)
FROM measurements SEMI JOIN shared USING (utterance_index)
WHERE point IN (SELECT name FROM asked) AND error IS NULL
"""


def busy_notice(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Say that others used the machine while a run was measured, so that its times are too long, with the figures.

    Two signs count. Wall time beyond 1.1 times the processor time, in the median row: work that runs on any number of
    threads takes at least as much processor time as wall time while one of them runs. And a load average, in the median
    row, above the threads that the run's own workers may keep busy plus 0.5. None where neither is seen, or where the
    rows do not tell, as in older runs and on a GPU.

    Args:
        connection: It holds the view ``measurements`` and the tables ``shared`` and ``asked``.
    """
    wait, load, threads = connection.execute(_MEDIANS).fetchall()[0]
    signs = []
    if wait is not None and wait > LONGEST_WAIT:
        signs.append(f"wall time was {wait:.2f} times the processor time")
    if load is not None and threads is not None and load > threads + OTHERS_LOAD:
        own = f"{threads:.0f} thread{'s' if threads > 1 else ''} of its own"
        signs.append(f"the system had a load of {load:.1f} beside {own}")
    if not signs:
        return None
    return (
        f"{_BUSY} on the machine while this run was measured ({', and '.join(signs)}, in the median row): its "
        "times are too long, and not by the same share at every point. Compare FLOPs, or measure into another --out, "
        "with sweep --wait-for-idle 30."
    )


_TEXTS = ("reference", "hypothesis")


def materialise_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    """Read the view ``measurements`` once, texts and lists left out, into a table that stands in for it.

    Journals of a run in progress are JSON: a query for every point would parse all of them again.
    """
    described = connection.execute("DESCRIBE measurements").fetchall()
    wide = [name for name, kind, *_ in described if kind.endswith("[]") or name in _TEXTS]
    connection.execute(f"CREATE TEMP TABLE numbers AS SELECT * EXCLUDE ({', '.join(wide)}) FROM measurements")
    connection.execute("CREATE OR REPLACE VIEW measurements AS SELECT * FROM numbers")


def select_points(
    connection: duckdb.DuckDBPyConnection, folder: Path, names: Sequence[str], among: Collection[str] | None = None
) -> dict[str, int]:
    """Make the table ``asked`` of those points that have rows, and return how many each has.

    Args:
        connection: It holds the view ``measurements``.
        folder: The run folder.
        names: The points of the run that nothing gave up.
        among: The only points that count; None: all.

    Raises:
        LedgerError: None of them has a row.
    """
    connection.execute("CREATE TEMP TABLE asked AS SELECT unnest(?) AS name", [list(names)])
    counted = connection.execute(
        "SELECT point, count(*) FROM measurements WHERE point IN (SELECT name FROM asked) GROUP BY point"
    ).fetchall()
    started = {str(name): int(count) for name, count in counted if among is None or name in among}
    if not started:
        raise LedgerError(f"{folder}: no point of this run is measured yet. Run its sweep.")
    connection.execute("DELETE FROM asked WHERE NOT list_contains(?, name)", [list(started)])
    return started


def share_rows(connection: duckdb.DuckDBPyConnection, keys: Sequence[str], n_points: int) -> None:
    """Make the table ``shared`` of the rows' keys that all points named in the table ``asked`` have, without error.

    Comparisons are paired: a row counts where every point has one with the same keys.

    Args:
        connection: It holds the view ``measurements`` and the table ``asked``.
        keys: The run record's ``keys``: the utterance, and where points are trained the seed.
        n_points: How many points are named.
    """
    listed = ", ".join(keys)
    connection.execute(
        f"CREATE TEMP TABLE shared AS SELECT {listed} FROM measurements WHERE point IN (SELECT name FROM asked) "
        f"GROUP BY {listed} HAVING count(*) = ? AND count(error) = 0",
        [n_points],
    )


def count_shared(connection: duckdb.DuckDBPyConnection, key: str) -> int:
    """Return how many different utterances (``utterance_index``) or seeds (``seed``) the table ``shared`` has."""
    return int(connection.execute(f"SELECT count(DISTINCT {key}) FROM shared").fetchall()[0][0])


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run is.

    Args:
        rows: Rows that are there, by the point that has them.
        n_points: Points of the run that nothing gave up.
        n_given_up: Points that a race gave up.
        n_shared: Utterances that all points with rows have.
        n_failed: Recordings left out.
    """

    rows: dict[str, int]
    n_points: int
    n_given_up: int
    n_shared: int
    n_failed: int


def progress_notices(state: RunState, n_rows: int, n_utterances: int, done_with: str) -> list[str]:
    """Say what of a run is not measured yet, what failed, and how many utterances its points are compared on.

    Args:
        state: How far the run is.
        n_rows: Rows of a finished point.
        n_utterances: Utterances that all points could have.
        done_with: What could not be done with the recordings left out: ``read``, ``used``.
    """
    notices = []
    rows, wanted = sum(state.rows.values()), state.n_points * n_rows
    if rows < wanted:
        notices.append(f"The run is in progress: {rows} of {wanted} rows are measured.")
    if missing := state.n_points - len(state.rows):
        notices.append(f"{missing} of {state.n_points} points have no measurement yet and are left out.")
    if state.n_failed:
        notices.append(f"{state.n_failed} recordings could not be {done_with} and are left out.")
    if state.n_shared < n_utterances - state.n_failed:
        notices.append(
            f"Points are compared on the {state.n_shared} of {n_utterances} utterances that all of them have."
        )
    return notices
