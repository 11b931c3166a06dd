"""A frontier as rows of plain numbers, one per point: what CSV, Parquet and pandas hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from allophone.files import finite_or_null
from allophone.frontier.pareto import Frontier
from allophone.records.names import title_of

__all__ = ["csv_text", "eliminated_rows", "failure_rows", "frontier_rows", "table_cell"]

Cell = str | int | float | bool | None
_LEFT_OUT = ("label", "confusion", "recalls")  # nested, or of what is no point


def frontier_rows(frontier: Frontier) -> list[dict[str, Cell]]:
    """Return one row per point, in base units: fractions, seconds, bytes, GFLOPs.

    First what names it, then its verdict, then every measure, each compared one followed by the ends of its interval
    (``wer_low``, ``wer_high``), then the settings as ``point_beam_size`` and the like. What is unknown is None.
    """
    rows = []
    for point in frontier.to_dict()["points"]:
        settings, intervals = point.pop("point"), point.pop("intervals")
        row: dict[str, Any] = {"name": point.pop("name")}
        row["title"] = title_of(row["name"])
        for name in ("status", "measured_on", "p_on_frontier", "dominated_by", "p_dominated", "beaten_by", "tied_with"):
            row[name] = point.pop(name)
        for name, value in point.items():
            if name in _LEFT_OUT:
                continue
            row[name] = value
            if name in intervals:
                row[f"{name}_low"], row[f"{name}_high"] = intervals[name]
        row |= {f"point_{name}": value for name, value in settings.items()}
        rows.append({name: table_cell(value) for name, value in row.items()})
    return rows


def eliminated_rows(frontier: Frontier) -> list[dict[str, Cell]]:
    """Return the points that a race gave up, one row each."""
    return [{name: table_cell(value) for name, value in item.items()} for item in frontier.to_dict()["eliminated"]]


def failure_rows(frontier: Frontier) -> list[dict[str, Cell]]:
    """Return the recordings that could not be measured, one row each."""
    return [{name: table_cell(value) for name, value in item.items()} for item in frontier.to_dict()["failures"]]


def csv_text(rows: Iterable[Mapping[str, Cell]]) -> str:
    """Return rows as CSV, a line per row and a column per name that any of them has; what is unknown is empty."""
    listed = list(rows)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in listed for name in row)), lineterminator="\n")
    table.writeheader()
    table.writerows(listed)
    return text.getvalue()


def table_cell(value: Any) -> Cell:
    """Return plain data as one cell: lists are joined by semicolons, and what is no number is None."""
    value = finite_or_null(value)
    if isinstance(value, list | tuple):
        return ";".join(map(str, value))
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return str(value)
