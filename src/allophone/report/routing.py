"""A policy's evaluation as tables, and its curves as a page."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from allophone.records.names import title_of
from allophone.report.tables import Table, probability_of
from allophone.routing.router_metrics import SAVING_GAP

if TYPE_CHECKING:
    from allophone.measure.intervals import Interval
    from allophone.routing.evaluation import DomainResult, Evaluation
    from allophone.routing.recovery import Recovery

__all__ = ["evaluation_html", "evaluation_tables"]


def evaluation_tables(found: Evaluation) -> list[Table]:
    """Return two tables per domain: points, the policy and what routers recover, and routers by published metrics."""
    return [table for result in found.results for table in (_table(result, found), _metrics(result))]


def _table(result: DomainResult, found: Evaluation) -> Table:
    rows = [
        (title_of(name), _percent(wer), f"{gflops:.2f}", f"{seconds:.3f}", "", "")
        for name, wer, gflops, seconds in result.fixed
    ]
    muted = [False] * len(rows)
    by_seconds = {item.name: item for item in result.seconds}
    at = result.policy
    for index, item in enumerate(result.flops):
        there = (
            (_interval(at.wer, 100), _interval(at.gflops), _interval(at.seconds, digits=3))
            if not index
            else ("", "", "")
        )
        rows.append((item.name, *there, _share(item), _share(by_seconds[item.name])))
        muted.append(bool(index))
    notes = [
        f"The policy is shown at threshold {at.threshold:.4g}: {100 * at.share_escalated:.0f} % reach the last point, "
        f"WER {_interval(at.wer_over_last, 100)} over always the last, at {_percent(at.flops_of_last)} % of its FLOPs "
        f"and {_percent(at.seconds_of_last)} % of its seconds.",
        f"More errors than the last point on {_interval(at.p_worse, 100)} % of utterances, fewer on "
        f"{_interval(at.p_better, 100)} %; WER {_interval(at.wer_over_oracle, 100)} over the oracle's at equal FLOPs.",
        f"Decided right: {_percent(at.accuracy)} % where first and last point differ, {_percent(at.accuracy_all)} % "
        "of all, ties left below.",
        f"Cheaper than always the last point below a share of {_even(result.break_even_flops)} (FLOPs), "
        f"{_even(result.break_even_seconds)} (seconds).",
        "Recovered: area between chance and router over that between chance and oracle, at equal cost, over the "
        "middle half of the costs between first and last point; p that the router is above chance there. Random is "
        "chance itself; fewer than 5 speakers or 20 utterances say too little.",
    ]
    if result.frontier:
        static = "; ".join(
            f"{title_of(name)} {_percent(wer)} % at {gflops:.2f}" for name, wer, gflops, _ in result.frontier
        )
        notes.append(f"Static frontier (WER at GFLOPs): {static}.")
    if found.left_out and result is found.results[0]:
        notes.append(f"{found.left_out} utterances of speakers that the policy was trained on are left out.")
    if result.warning:
        notes.append(result.warning)
    return Table(
        title=f"{result.name}: {result.n_utterances} utterances of {result.n_speakers} speakers",
        columns=("router", "WER %", "GFLOPs/utt.", "s/utt.", "recovered % (FLOPs)", "recovered % (seconds)"),
        rows=tuple(rows),
        muted=tuple(muted),
        notes=tuple(notes),
        side=("recovered % (seconds)",),
        bracketed=("s/utt.", "GFLOPs/utt.", "recovered % (FLOPs)", "WER %"),
    )


def _metrics(result: DomainResult) -> Table:
    rows = tuple(
        (
            item.name,
            _known(item.aiq, 100),
            _known(item.apgr),
            _known(item.cpt50, 100, 0),
            f"{_known(item.flops_saved, 100, 0)} / {_known(item.seconds_saved, 100, 0)}",
            f"{_known(item.flops_saved_at_gap, 100, 0)} / {_known(item.seconds_saved_at_gap, 100, 0)}",
        )
        for item in result.metrics
    )
    return Table(
        title=f"{result.name}: routers by the metrics of RouterBench and RouteLLM",
        columns=(
            "router",
            "AIQ %",
            "APGR",
            "CPT(50 %) %",
            "FLOPs / seconds saved %",
            f"at {100 * SAVING_GAP:g} points more WER %",
        ),
        rows=rows,
        muted=tuple(bool(index) for index in range(len(rows))),
        notes=(
            "AIQ (arXiv 2403.12031): area under the non-decreasing convex hull of 100 % - WER over GFLOPs, divided by "
            "the range of GFLOPs between first and last point.",
            "APGR (arXiv 2406.18665): share of the WER between first and last point that is recovered, averaged over "
            "the share of utterances sent to the last; chance has 0.5. CPT(50 %): least such share that recovers half.",
            "Saved: of the last point's cost, at its WER. All are read off the curve of these very speakers, so they "
            "compare routers; what a threshold set beforehand does is told in the table before.",
        ),
        side=(f"at {100 * SAVING_GAP:g} points more WER %",),
        bracketed=("FLOPs / seconds saved %", "CPT(50 %) %", "APGR", "AIQ %"),
    )


def evaluation_html(found: Evaluation) -> str:
    """Return the curves of every domain, against FLOPs and against seconds, as one self-contained page."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    titles = [f"{item.name}, against {kind}" for item in found.results for kind in ("GFLOPs", "seconds")]
    figure = make_subplots(rows=len(found.results), cols=2, subplot_titles=titles)
    for row, result in enumerate(found.results, start=1):
        for column, (recoveries, scale, key) in enumerate(((result.flops, 1e-9, 2), (result.seconds, 1.0, 3)), start=1):
            lines: list[tuple[str, Any]] = [("chance", recoveries[0].chance), ("oracle", recoveries[0].oracle)]
            lines += [(item.name, item.wer) for item in recoveries]
            for name, values in lines:
                trace = go.Scatter(
                    x=recoveries[0].cost * scale, y=100 * values, name=name, showlegend=row == column == 1
                )
                figure.add_trace(trace, row=row, col=column)
            points = [*result.fixed, *result.frontier]
            figure.add_trace(
                go.Scatter(
                    x=[point[key] for point in points],
                    y=[100 * point[1] for point in points],
                    text=[title_of(point[0]) for point in points],
                    mode="markers",
                    name="static points",
                    showlegend=row == column == 1,
                ),
                row=row,
                col=column,
            )
    figure.update_layout(height=420 * len(found.results), title=f"Word error rate (%) against cost: {found.policy}")
    page: str = figure.to_html(include_plotlyjs=True)
    return page


def _interval(interval: Interval, scale: float = 1.0, digits: int = 2) -> str:
    value, low, high = (f"{scale * value:.{digits}f}" for value in (interval.estimate, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _share(item: Recovery) -> str:
    if not isfinite(item.share):
        return "oracle gains nothing"
    low, high = item.interval.low, item.interval.high
    told = probability_of(item.p_above)
    if not isfinite(item.p_above):
        told = "reference" if item.name == "random" else "too few to say"
    return f"{100 * item.share:.0f} [{100 * low:.0f}, {100 * high:.0f}] ({told})"


def _known(interval: Interval, scale: float = 1.0, digits: int = 2) -> str:
    return _interval(interval, scale, digits) if isfinite(interval.estimate) else "undefined"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}" if isfinite(value) else "unknown"


def _even(share: float | None) -> str:
    return "none" if share is None else f"{share:.2f}"
