"""What verbs print: tables, progress, key and value lines."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from textwrap import wrap
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from allophone.cli.say import is_quiet, printable, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

    from allophone.report.tables import Table
    from allophone.sweeps.recognition.run import Progress

__all__ = ["Csv", "Wide", "console", "print_csv", "print_table", "refuse_two_formats", "show_progress"]

Wide = Annotated[bool, typer.Option("--wide", help="Print all columns of tables, however wide the terminal is.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print the numbers of --json as CSV, a line per row of the table.")]
_LINE_EVERY_S = 15.0
_WIDTH = 80  # off a terminal, where COLUMNS does not say another
_UNLIMITED = 10_000
_LEAST_NAME = 8
_LEAST_LAST = 20
_BRACKETS = re.compile(r" \[[^\]]*\]")


def console(*, wide: bool = False, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or as COLUMNS says, or 80; plain text where NO_COLOR is set."""
    from rich.console import Console

    width = _UNLIMITED if wide else shutil.get_terminal_size((_WIDTH, 24)).columns
    if os.environ.get("NO_COLOR"):
        return Console(width=width, stderr=stderr, color_system=None)
    return Console(width=width, stderr=stderr)


def print_table(table: Table, *, wide: bool = False) -> None:
    """Print a table, a line per row; rows that stand back are dim.

    Where there is no room for all, columns are left out, then intervals, as the table says, and what is left out is
    named. If that is not enough, names of points are folded, since cut ones would read the same. Where rows are no
    points, the last column is folded, and where it would be too narrow to read, each row is a block of a line per
    column.

    Args:
        table: The table.
        wide: Whether to print everything, whatever the width of the terminal.
    """
    from rich.measure import Measurement
    from rich.text import Text

    screen = console(wide=wide)
    unlimited = screen.options.update(max_width=_UNLIMITED)
    left_out: list[str] = []
    bare: list[str] = []
    steps = [(left_out, name) for name in table.side] + [
        (bare, name) for name in table.bracketed if name not in table.side
    ]
    while Measurement.get(screen, unlimited, _grid(table, left_out, bare)).maximum > screen.width and steps:
        where, name = steps.pop(0)
        where.append(name)
    grid = _grid(table, left_out, bare)
    if table.bracketed and (excess := Measurement.get(screen, unlimited, grid).maximum - screen.width) > 0:
        names = max(len(printable(row[0])) for row in table.rows)
        grid = _grid(table, left_out, bare, name_width=max(_LEAST_NAME, names - excess))
    screen.print(Text(printable(table.title), style="bold"))
    if not table.bracketed and _room_for_last(table, left_out, screen.width) < 0:
        left_out = []
        _print_blocks(table, screen)
    else:
        screen.print(grid)
    missing = [*left_out, *(f"intervals of {name}" for name in bare)]
    notes = [f"No room for: {'; '.join(missing)}. --wide prints everything."] if missing else []
    for note in (*notes, *table.notes):
        screen.print(printable(note), highlight=False, markup=False, emoji=False)


def _room_for_last(table: Table, left_out: Collection[str], width: int) -> int:
    """Return the characters that the last column has beyond what it takes to read it; the others are not folded."""
    from rich.cells import cell_len

    widths = [
        max(cell_len(printable(cell)) for cell in (name, *(row[index] for row in table.rows)))
        for index, name in enumerate(table.columns)
        if name not in left_out
    ]
    return width - sum(widths[:-1]) - 2 * len(widths[:-1]) - min(widths[-1], _LEAST_LAST)


def _print_blocks(table: Table, screen: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for row, muted in zip(table.rows, table.muted, strict=True):
        style = "dim" if muted else ""
        screen.print(Text(printable(row[0]), style=style))
        for name, cell in zip(table.columns[1:], row[1:], strict=True):
            if cell not in ("", "-"):
                screen.print(Padding(Text(f"{name}: {printable(cell)}", style=style), (0, 0, 0, 2)))


def _grid(table: Table, left_out: Collection[str], bare: Collection[str], name_width: int | None = None) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    # As Text: a string would be read as markup, and names such as speech[final] or x[/b] are none.
    grid = RichTable(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    shown = [index for index, column in enumerate(table.columns) if column not in left_out]
    for index in shown:
        justify: Literal["left", "right"] = "left" if index in (0, len(table.columns) - 1) else "right"
        last = index == len(table.columns) - 1
        grid.add_column(
            Text(table.columns[index]),
            justify=justify,
            overflow="fold" if last else "ellipsis",
            no_wrap=not last or name_width is not None,
        )
    for row, muted in zip(table.rows, table.muted, strict=True):
        cells = [_BRACKETS.sub("", row[index]) if table.columns[index] in bare else row[index] for index in shown]
        if name_width is not None:
            cells[0] = "\n".join(wrap(cells[0], name_width, subsequent_indent="  ", break_on_hyphens=False))
        grid.add_row(*(Text(printable(cell)) for cell in cells), style="dim" if muted else "")
    return grid


def print_csv(records: Iterable[Mapping[str, Any]]) -> None:
    """Print records as CSV, a line per record: the numbers of --json, nested names joined by dots."""
    from allophone.export.rows import csv_text, table_cell

    rows = [{name: table_cell(value) for name, value in _flat(record)} for record in records]
    say(csv_text(rows).removesuffix("\n"))


def refuse_two_formats(*, as_json: bool, as_csv: bool) -> None:
    """Refuse --json and --csv together.

    Raises:
        UsageError: Both were given.
    """
    from allophone.errors import UsageError

    if as_json and as_csv:
        raise UsageError("--json and --csv: output has one format. Give one of them.")


def _flat(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif above == "intervals." and value:
            yield from zip((f"{above}{name}.low", f"{above}{name}.high"), value, strict=True)
        else:
            yield above + name, value


@contextmanager
def show_progress() -> Iterator[Callable[[Progress], None]]:
    """Yield a callback that shows a bar with the time left; off a terminal, a line now and then. Both on stderr."""
    if is_quiet():
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        yield _line_printer()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=console(stderr=True),
    )
    with bar:
        tasks = {}

        def advance(progress: object) -> None:
            stage, done, total, left = _parts(progress)
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total, left="")
            bar.update(tasks[stage], completed=done, left=left)

        yield advance


def _line_printer() -> Callable[[object], None]:
    last = monotonic()

    def advance(progress: object) -> None:
        nonlocal last
        stage, done, total, left = _parts(progress)
        if monotonic() - last >= _LINE_EVERY_S or done == total:
            last = monotonic()
            print(
                f"{stage}: {done} of {total}{', ' + left if left and done < total else ''}", file=sys.stderr, flush=True
            )

    return advance


def _parts(progress: object) -> tuple[str, int, int, str]:
    from allophone.sweeps.recognition.run import Progress

    assert isinstance(progress, Progress)
    left = "" if progress.remaining_s is None else f"about {_duration(progress.remaining_s)} left"
    return progress.stage, progress.done, progress.total, left


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
