"""Every table and figure of a run written in one format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from allophone.errors import LedgerError
from allophone.export.card import CARD_FILE, card_markdown, make_card
from allophone.export.markup import latex_table, markdown_table
from allophone.export.picture import draw_picture
from allophone.export.rows import csv_text, eliminated_rows, failure_rows, frontier_rows
from allophone.files import whole_file, write_whole
from allophone.frontier.pareto import Frontier
from allophone.report.figures import frontier_figure
from allophone.report.tables import frontier_table

__all__ = ["FORMATS", "Format", "export_frontier"]

Format = Literal["csv", "parquet", "latex", "markdown", "png", "svg", "card"]
FORMATS: tuple[Format, ...] = get_args(Format)


def export_frontier(frontier: Frontier, form: Format, folder: Path, chosen: str | None = None) -> list[Path]:
    """Write a run's tables (CSV and Parquet: numbers; LaTeX and Markdown: as people read them), figure or card.

    Args:
        frontier: What is written; its costs are part of the names of files.
        form: The format.
        folder: Where to; made if need be.
        chosen: Name of the recommended point, ringed in the figure.

    Returns:
        The files written.

    Raises:
        LedgerError: The folder cannot be written.
        MissingExtraError: PNG or SVG, and matplotlib is not installed.
    """
    if form == "card":
        card = make_card(frontier.run, frontier.confidence)
        paths = [folder / CARD_FILE, folder / "card.md"]
        write_whole(paths[0], card.model_dump_json(indent=1) + "\n")
        write_whole(paths[1], card_markdown(card))
        return paths
    stem = f"frontier-{'-'.join(cost.name for cost in frontier.costs)}"
    if form in ("png", "svg"):
        path = folder / f"{stem}.{form}"
        with whole_file(path) as partial:
            draw_picture(frontier_figure(frontier, chosen), partial, form)
        return [path]
    if form in ("latex", "markdown"):
        path = folder / f"{stem}.{'tex' if form == 'latex' else 'md'}"
        table = frontier_table(frontier)
        write_whole(path, latex_table(table) if form == "latex" else markdown_table(table))
        return [path]
    tables = {
        stem: frontier_rows(frontier),
        "eliminated": eliminated_rows(frontier),
        "failures": failure_rows(frontier),
    }
    written = []
    for name, rows in tables.items():
        if rows:
            written.append(folder / f"{name}.{form}")
            if form == "csv":
                write_whole(written[-1], csv_text(rows))
            else:
                _write_parquet(rows, written[-1])
    return written


def _write_parquet(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = pa.Table.from_pylist(list(rows))
    except pa.ArrowInvalid as error:  # a column of two types: none of ours has
        raise LedgerError(f"{path}: cannot be written: {error}. Export as json by 'frontier --json'.") from None
    with whole_file(path) as partial:
        parquet.write_table(table, str(partial))
