"""Whether the machine was idle but for the sweep that measured times on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

__all__ = ["busy_notice"]

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
