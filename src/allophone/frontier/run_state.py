"""Progress of a run: which points have rows, and what a reader of their comparison must know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.errors import LedgerError

if TYPE_CHECKING:
    import duckdb

__all__ = ["busy_notice", "materialise_numbers", "progress_notices", "select_points"]

LONGEST_WAIT = 1.1  # wall over processor time; above it a thread waits for a processor, or for a disk
OTHERS_LOAD = 0.5  # threads of others that ran or waited, mean of a minute

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
        f"Other work ran on the machine while this run was measured ({', and '.join(signs)}, in the median row): its "
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


def progress_notices(
    *, rows: tuple[int, int], points: tuple[int, int], shared: tuple[int, int], failed: int, done_with: str
) -> list[str]:
    """Say what of a run is not measured yet, what failed, and how many utterances its points are compared on.

    Args:
        rows: Rows that are there, and rows of a finished run.
        points: Points that have rows, and points of the run that nothing gave up.
        shared: Utterances that all points with rows have, and utterances that they could have.
        failed: Recordings left out.
        done_with: What could not be done with those: ``read``, ``used``.
    """
    notices = []
    if rows[0] < rows[1]:
        notices.append(f"The run is in progress: {rows[0]} of {rows[1]} rows are measured.")
    if missing := points[1] - points[0]:
        notices.append(f"{missing} of {points[1]} points have no measurement yet and are left out.")
    if failed:
        notices.append(f"{failed} recordings could not be {done_with} and are left out.")
    if shared[0] < shared[1] - failed:
        notices.append(f"Points are compared on the {shared[0]} of {shared[1]} utterances that all of them have.")
    return notices
