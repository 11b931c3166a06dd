"""The frontier plot: first what is drawn, as a record, then the drawing."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING, Any

from allophone.frontier.objectives import Objective
from allophone.frontier.pareto import Frontier, FrontierPoint
from allophone.frontier.uncertainty import Status
from allophone.report.tables import dominator_of, verdict_of

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["FrontierFigure", "PlottedPoint", "draw_frontier", "frontier_figure"]

_COLOURS = ("#1f5fa8", "#c2571a", "#2e7d4f", "#8a3f8f", "#a3262a", "#5d5d00", "#00707a")
_GREY = "#b5b5b5"


@dataclass(frozen=True, slots=True)
class PlottedPoint:
    """One point of the plot with its intervals, in the units that the axes show."""

    name: str
    model: str
    x: float
    y: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    status: Status
    nondominated: bool
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
        y_top: End of the quality axis, which begins at 0; wide intervals of few speakers may leave the plot.
    """

    x_title: str
    y_title: str
    points: tuple[PlottedPoint, ...]
    chosen: str | None
    log_x: bool
    ticks: tuple[float, ...]
    y_top: float


def frontier_figure(frontier: Frontier, chosen: str | None = None) -> FrontierFigure:
    """Compute what is drawn; points whose cost was not measured are left out."""
    cost, quality = frontier.costs[0], frontier.quality
    points = []
    for point in frontier.points:
        summary = point.summary
        x = getattr(summary, cost.name) * cost.scale
        y = getattr(summary, quality.name)
        if not (isfinite(x) and isfinite(y)):
            continue
        hover = (
            f"<b>{point.title}</b><br>{frontier.run.run.quality_name} {quality.show(y)}"
            f"<br>RTF {summary.rtf:.3f}, p95 latency {summary.latency_p95_s:.2f} s"
            f"<br>{summary.executed_gflops:.1f} GFLOPs per utterance"
        )
        by = f" by {dominator_of(point)}" if dominator_of(point) else ""
        hover += f"<br>{verdict_of(point)}{by}"
        points.append(
            PlottedPoint(
                name=point.name,
                model=summary.point.model_slug,
                x=x,
                y=quality.shown(y),
                x_range=_range(point, cost),
                y_range=_range(point, quality),
                status=point.status,
                nondominated=point.nondominated,
                hover=hover,
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
        y_top=1.5 * max((point.y for point in points), default=1.0) or 1.0,
    )


def _range(point: FrontierPoint, objective: Objective) -> tuple[float, float]:
    interval = point.intervals[objective.name]
    value = getattr(point.summary, objective.name)
    ends = (interval.low, interval.high) if isfinite(interval.low) and isfinite(interval.high) else (value, value)
    return objective.shown_ends(*ends)


def draw_frontier(figure: FrontierFigure) -> go.Figure:
    """Draw: dominated points grey, points surely on the frontier filled, tied ones hollow, the choice ringed.

    The stepped line joins what is on the frontier as measured; bars are intervals.
    """
    import plotly.graph_objects as go

    drawn = go.Figure()
    nondominated = [point for point in figure.points if point.nondominated]
    drawn.add_trace(
        go.Scatter(
            x=[point.x for point in nondominated],
            y=[point.y for point in nondominated],
            mode="lines",
            line={"color": "#444", "width": 1, "shape": "hv"},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    models = list(dict.fromkeys(point.model for point in figure.points))
    for status in ("dominated", "too few", "tied", "on"):
        for index, model in enumerate(models):
            members = [point for point in figure.points if point.status == status and point.model == model]
            if members:
                colour = _GREY if status == "dominated" else _COLOURS[index % len(_COLOURS)]
                drawn.add_trace(_markers(members, f"{model}, {status}", colour, hollow=status in {"tied", "too few"}))
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
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        font={"family": "system-ui, sans-serif", "size": 14},
        xaxis={"title": figure.x_title, "type": "log" if figure.log_x else "linear", "rangemode": "tozero"},
        yaxis={"title": figure.y_title, "range": [0, figure.y_top]},
    )
    if figure.log_x:
        drawn.update_xaxes(tickvals=list(figure.ticks), ticktext=[f"{tick:g}" for tick in figure.ticks])
    return drawn


def _markers(points: list[PlottedPoint], name: str, colour: str, *, hollow: bool) -> Any:
    import plotly.graph_objects as go

    def bars(values: list[float], ranges: list[tuple[float, float]]) -> dict[str, Any]:
        return {
            "type": "data",
            "array": [high - value for value, (_, high) in zip(values, ranges, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ranges, strict=True)],
            "thickness": 0.8,
            "width": 0,
        }

    xs, ys = [point.x for point in points], [point.y for point in points]
    return go.Scatter(
        x=xs,
        y=ys,
        mode="markers",
        name=name,
        marker={"size": 11, "color": colour, "symbol": "circle-open" if hollow else "circle", "line": {"width": 2}},
        error_x=bars(xs, [point.x_range for point in points]),
        error_y=bars(ys, [point.y_range for point in points]),
        text=[point.hover for point in points],
        hovertemplate="%{text}<extra></extra>",
    )
