"""Whether the probabilities that allophone states hold on simulated new data: one page over all simulations of them.

Reads every ``docs/results/statements_*.json``; each has under ``figures["rows"]`` one record per cell of a simulation.
Run those benchmarks first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.shared.quick import begin, command_line
from benchmarks.shared.recording import RESULTS, markdown_table, write_result

ALLOWED = 0.015  # below what is stated: what simulations of a thousand corpora can hardly tell apart
Row = dict[str, Any]


def main() -> None:
    """Write ``docs/results/statements.md`` and what it concludes as JSON."""
    begin(command_line(__doc__))
    families = read_families(RESULTS)
    if not families:
        raise SystemExit(f"{RESULTS}: no statements_*.json; run the benchmarks named statements_* first.")
    rows = [row for found in families.values() for row in found]
    missed = [row for row in rows if not is_met(row)]
    figures = {"cells": len(rows), "met": len(rows) - len(missed), "missed": missed}
    write_result("statements", {"allowed": ALLOWED, "families": list(families)}, figures, page(families))


def read_families(results: Path) -> dict[str, list[Row]]:
    """Return the rows of every simulation by its name, sorted by it."""
    found = {}
    for path in sorted(results.glob("statements_*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem.removeprefix("statements_")] = list(record["figures"]["rows"])
    return found


def is_met(row: Row) -> bool:
    """Whether a statement holds: no more than 1.5 points below what it says; a certified one not below it at all."""
    allowed = 0.0 if "certified" in row["statement"] or row.get("certified") else ALLOWED
    return bool(row["held"] >= row["stated"] - allowed - 1e-9)  # 0.85 is below 0.865 - 0.015 in floating point


def page(families: dict[str, list[Row]]) -> str:
    """Return the page: what follows, then one table per family."""
    rows = [row for found in families.values() for row in found]
    missed = [row for row in rows if not is_met(row)]
    parts = ["# Do the stated probabilities hold on new data?", conclusion(rows, missed)]
    parts += [
        "Written by `benchmarks/statements/statements_page.py` from the simulations `benchmarks/statements/`, "
        "each of which "
        "draws corpora, runs what a user runs, choices among many included, and asks new data of the same kind. A "
        f"statement is met when it held at most {100 * ALLOWED:.1f} points less often than stated; a certified one "
        "when it held at least as often."
    ]
    for name, found in families.items():
        columns = ("statement", "cell", "stated", "held", "simulations", "met?")
        parts += [f"## {name.replace('_', ' ').capitalize()}", markdown_table(columns, [_line(row) for row in found])]
        parts += [f"{row['statement']}, {row['cell']}: {row['note']}" for row in found if row.get("note")]
    return "\n\n".join(parts)


def conclusion(rows: Sequence[Row], missed: Sequence[Row]) -> str:
    """Return what the tables come to, in one paragraph."""
    counted = f"Of {len(rows)} cells, {len(rows) - len(missed)} met what is stated"
    if not missed:
        return counted + ": none was missed."
    families: dict[tuple[str, float], list[Row]] = {}
    for row in missed:
        families.setdefault((row["statement"], row["stated"]), []).append(row)
    told = []
    for (statement, stated), cells in families.items():
        asked = sum((row["statement"], row["stated"]) == (statement, stated) for row in rows)
        least = min(cells, key=lambda row: row["held"])
        told.append(
            f"- {statement}: {len(cells)} of {asked} cells, the least {_percent(least['held'])} % for "
            f"{_percent(stated)} % ({least['cell']})"
        )
    return "\n".join([f"{counted}. Not met:", "", *told])


def _line(row: Row) -> tuple[str, ...]:
    return (
        row["statement"],
        row["cell"],
        f"{_percent(row['stated'])} %",
        f"{_percent(row['held'])} ± {_percent(row['standard_error'])} %",
        f"{row['simulations']:,}",
        "yes" if is_met(row) else "**no**",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


if __name__ == "__main__":
    main()
