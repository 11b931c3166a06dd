"""The frontier in a notebook: as a pandas table, as an interactive figure, and as HTML where a cell ends with it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from allophone.export.rows import frontier_rows
from allophone.extras import importing
from allophone.frontier import pareto
from allophone.report.figures import draw_frontier, frontier_figure
from allophone.report.tables import frontier_table

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Frontier"]


class Frontier(pareto.Frontier):
    """Points compared on quality and one or two costs, cheapest first, with what notebooks show.

    ``Frontier.from_run("runs/x", cost="rtf")`` reads one; fields are those of
    :class:`allophone.frontier.pareto.Frontier`.
    """

    __slots__ = ()

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per point, in base units: fractions, seconds, bytes; columns as ``export --format csv``.

        Raises:
            MissingExtraError: pandas is not installed (extra ``export``).
        """
        with importing("pandas", "export"):
            import pandas as pd
        return pd.DataFrame(frontier_rows(self)).set_index("name")

    def figure(self, chosen: str | None = None) -> go.Figure:
        """Return the plot of the report as a Plotly figure.

        Args:
            chosen: Name of a point to ring.
        """
        return draw_frontier(frontier_figure(self, chosen))

    def _repr_html_(self) -> str:
        table = frontier_table(self)
        head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
        dim = ' style="opacity:.55"'
        body = "".join(
            f"<tr{dim if muted else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for row, muted in zip(table.rows, table.muted, strict=True)
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
        return (
            f"<div style='overflow-x:auto'><table><caption>{escape(table.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><ul>{notes}</ul></div>"
        )
