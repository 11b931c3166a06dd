"""What verbs print: tables, progress, key and value lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Literal

from allophone.cli.say import printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from allophone.report.tables import Table
    from allophone.sweeps.recognition.run import Progress

__all__ = ["print_table", "show_progress"]

_LINE_EVERY_S = 15.0


def print_table(table: Table) -> None:
    """Print a table; rows that stand back are dim. Off a terminal nothing is cut or folded.

    A terminal too narrow for all columns shows those that matter, and says which it leaves out.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=None if sys.stdout.isatty() else 240)
    unlimited = console.options.update(max_width=10_000)
    left_out: list[str] = []
    for column in (None, *table.side):
        left_out += [column] if column is not None else []
        grid = _grid(table, left_out)
        if Measurement.get(console, unlimited, grid).maximum <= console.width:
            break
    console.print(grid)
    notes = [f"No room for: {'; '.join(left_out)}. Widen the terminal, or use --json."] if left_out else []
    for note in (*notes, *table.notes):
        console.print(printable(note), highlight=False, markup=False, emoji=False)


def _grid(table: Table, left_out: Collection[str]) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    # As Text: a string would be read as markup, and names such as speech[final] or x[/b] are none.
    grid = RichTable(title=Text(printable(table.title)), title_justify="left", title_style="bold")
    shown = [index for index, column in enumerate(table.columns) if column not in left_out]
    for index in shown:
        justify: Literal["left", "right"] = "left" if index in (0, len(table.columns) - 1) else "right"
        grid.add_column(Text(table.columns[index]), justify=justify, overflow="fold")
    for row, muted in zip(table.rows, table.muted, strict=True):
        grid.add_row(*(Text(printable(row[index])) for index in shown), style="dim" if muted else "")
    return grid


@contextmanager
def show_progress() -> Iterator[Callable[[Progress], None]]:
    """Yield a callback that shows a bar with the time left; off a terminal, a line now and then. Both on stderr."""
    if not sys.stderr.isatty():
        yield _line_printer()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=Console(stderr=True),
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
