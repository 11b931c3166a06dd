"""The frontier plot as a still picture, PNG or SVG: the record that the report's plot shows, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from allophone.extras import importing
from allophone.report.figures import FrontierFigure, PlottedPoint

__all__ = ["draw_picture"]

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito, 2008
_MARKS = "osD^vPX"  # models are told apart without colour, too
_GREY = "#b5b5b5"
_SIZE_INCHES = (8.0, 5.0)
_DPI = 200
_METADATA = {"png": {"Software": None}, "svg": {"Date": None}}  # what would differ from day to day


def draw_picture(figure: FrontierFigure, path: Path, form: Literal["png", "svg"]) -> None:
    """Draw what the interactive plot shows: dominated points grey, tied ones hollow, bars for intervals.

    Args:
        figure: What is drawn.
        path: Where.
        form: The format.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with importing("matplotlib", "export"):
        import matplotlib as mpl
        from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "allophone", "svg.fonttype": "none"}):  # equal runs give equal files
        drawing = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = drawing.add_subplot()
        _draw(axes, figure)
        drawing.savefig(path, dpi=_DPI, format=form, metadata=_METADATA[form])


def _draw(axes: Any, figure: FrontierFigure) -> None:
    on = [point for point in figure.points if point.nondominated]
    axes.step([point.x for point in on], [point.y for point in on], where="post", color="#444", linewidth=0.8, zorder=1)
    models = list(dict.fromkeys(point.model for point in figure.points))
    named: set[str] = set()
    for point in figure.points:
        index = models.index(point.model) % len(_COLOURS)
        _draw_point(axes, point, _COLOURS[index], _MARKS[index], None if point.model in named else point.model)
        named.add(point.model)
    for point in figure.points:
        if point.name == figure.chosen:
            axes.plot(
                [point.x], [point.y], "o", markersize=16, markerfacecolor="none", markeredgecolor="#111", zorder=4
            )
    if figure.log_x:
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.set_xticks([tick for tick in figure.ticks if low <= tick <= high])
        axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
        axes.minorticks_off()
    else:
        axes.set_xlim(left=0)
    axes.set_ylim(0, figure.y_top)
    axes.set_xlabel(_plain(figure.x_title))
    axes.set_ylabel(_plain(figure.y_title))
    axes.grid(color="#ddd", linewidth=0.5)
    axes.set_axisbelow(True)
    if named:
        axes.legend(frameon=False)


def _draw_point(axes: Any, point: PlottedPoint, colour: str, mark: str, label: str | None) -> None:
    shade = _GREY if point.status == "dominated" else colour
    axes.errorbar(
        [point.x],
        [point.y],
        xerr=_reach(point.x, point.x_range),
        yerr=_reach(point.y, point.y_range),
        fmt="none",
        ecolor=shade,
        elinewidth=0.7,
        zorder=2,
    )
    hollow = point.status in {"tied", "too few"}
    axes.plot([point.x], [point.y], mark, color=shade, markerfacecolor="white" if hollow else shade, zorder=3)
    if label is not None:  # the legend shows the model's own colour, whatever became of its first point
        axes.plot([], [], mark, color=colour, label=_plain(label))


def _reach(value: float, ends: tuple[float, float]) -> list[list[float]]:
    return [[max(0.0, value - ends[0])], [max(0.0, ends[1] - value)]]


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # matplotlib takes what stands between dollars for formulas
