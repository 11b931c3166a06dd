"""The frontier plot: first what is drawn, as a record, then the drawing."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING, Any

from allophone.frontier.pareto import Frontier

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["FrontierFigure", "PlottedPoint", "draw_frontier", "frontier_figure"]

_COLOURS = ("#1f5fa8", "#c2571a", "#2e7d4f", "#8a3f8f", "#a3262a", "#5d5d00", "#00707a")
_GREY = "#b5b5b5"


@dataclass(frozen=True, slots=True)
class PlottedPoint:
    """One point of the plot, in the units that the axes show."""

    name: str
    model: str
    x: float
    y: float
    on_frontier: bool
    hover: str


@dataclass(frozen=True, slots=True)
class FrontierFigure:
    """What the frontier plot shows.

    Args:
        x_title: Cost and unit.
        y_title: Quality and unit.
        points: All points with a known cost, cheapest first.
        chosen: Name of the recommended point, or None.
        log_x: Whether the cost axis is logarithmic: where costs span more than a factor of five.
        ticks: Labelled costs of a logarithmic axis: 1, 2 and 5 times powers of ten.
    """

    x_title: str
    y_title: str
    points: tuple[PlottedPoint, ...]
    chosen: str | None
    log_x: bool
    ticks: tuple[float, ...]


def frontier_figure(frontier: Frontier, chosen: str | None = None) -> FrontierFigure:
    """Compute what is drawn; points whose cost was not measured are left out."""
    cost, quality = frontier.cost, frontier.quality
    points = []
    for point in frontier.points:
        summary = point.summary
        x = getattr(summary, cost.name) * cost.scale
        if not (isfinite(x) and isfinite(summary.wer)):
            continue
        hover = (
            f"<b>{point.name}</b><br>{frontier.run.run.quality_name} {quality.show(summary.wer)}"
            f"<br>RTF {summary.rtf:.3f}, p95 latency {summary.latency_p95_s:.2f} s"
            f"<br>{summary.executed_gflops:.1f} GFLOPs an utterance"
        )
        if point.dominated_by:
            hover += f"<br>dominated by {', '.join(point.dominated_by[:3])}"
        points.append(
            PlottedPoint(
                point.name, summary.point.model_slug, x, summary.wer * quality.scale, point.status == "on", hover
            )
        )
    xs = [point.x for point in points if point.x > 0]
    log_x = bool(xs) and max(xs) > 5 * min(xs)
    ticks = []
    if log_x:
        decades = range(floor(log10(min(xs))), ceil(log10(max(xs))) + 1)
        ticks = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    return FrontierFigure(
        x_title=f"{cost.title} ({cost.unit})" if cost.unit else cost.title,
        y_title=f"{frontier.run.run.quality_name} (%)",
        points=tuple(points),
        chosen=chosen,
        log_x=log_x,
        ticks=tuple(ticks),
    )


def draw_frontier(figure: FrontierFigure) -> go.Figure:
    """Draw: dominated points grey, frontier points in their model's colour and joined by steps, the choice ringed."""
    import plotly.graph_objects as go

    drawn = go.Figure()
    on = [point for point in figure.points if point.on_frontier]
    drawn.add_trace(
        go.Scatter(
            x=[point.x for point in on],
            y=[point.y for point in on],
            mode="lines",
            line={"color": "#444", "width": 1, "shape": "hv"},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    dominated = [point for point in figure.points if not point.on_frontier]
    if dominated:
        drawn.add_trace(_markers(dominated, "dominated", _GREY, 9))
    models = list(dict.fromkeys(point.model for point in figure.points))
    for index, model in enumerate(models):
        members = [point for point in on if point.model == model]
        if members:
            drawn.add_trace(_markers(members, model, _COLOURS[index % len(_COLOURS)], 12))
    ringed = [point for point in figure.points if point.name == figure.chosen]
    if ringed:
        drawn.add_trace(
            go.Scatter(
                x=[ringed[0].x],
                y=[ringed[0].y],
                mode="markers",
                name="recommended",
                marker={"size": 22, "color": "rgba(0,0,0,0)", "line": {"color": "#111", "width": 2}},
                hoverinfo="skip",
            )
        )
    drawn.update_layout(
        template="plotly_white",
        height=520,
        margin={"l": 70, "r": 20, "t": 20, "b": 60},
        legend={"orientation": "h", "y": 1.08},
        font={"family": "system-ui, sans-serif", "size": 14},
        xaxis={"title": figure.x_title, "type": "log" if figure.log_x else "linear", "rangemode": "tozero"},
        yaxis={"title": figure.y_title, "rangemode": "tozero"},
    )
    if figure.log_x:
        drawn.update_xaxes(tickvals=list(figure.ticks), ticktext=[f"{tick:g}" for tick in figure.ticks])
    return drawn


def _markers(points: list[PlottedPoint], name: str, colour: str, size: int) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[point.x for point in points],
        y=[point.y for point in points],
        mode="markers",
        name=name,
        marker={"size": size, "color": colour},
        text=[point.hover for point in points],
        hovertemplate="%{text}<extra></extra>",
    )
