"""The tables of an emotion run: its frontier, what each class is taken for, and how many of it are recognised."""

from __future__ import annotations

from allophone.frontier.emotion import EmotionPointSummary, EmotionRunSummary
from allophone.frontier.noise_floor import noise_notes
from allophone.frontier.objectives import OBJECTIVES
from allophone.frontier.pareto import Frontier
from allophone.records.names import title_of
from allophone.report.tables import (
    Table,
    bracketed_columns,
    dominator_of,
    eliminated_words,
    frontier_table,
    number_of,
    objective_cell,
    side_columns,
    verdict_notes,
    verdict_of,
)

__all__ = ["any_frontier_table", "confusion_table", "emotion_frontier_table", "recall_table"]

_COLUMNS = ("uar_loss", "rtf", "latency_p95_s", "executed_gflops", "trainable_params", "training_gflops")
_HEADS = {
    "uar_loss": "UAR %",
    "rtf": "RTF",
    "latency_p50_s": "p50 latency s",
    "latency_p95_s": "p95 latency s",
    "latency_p99_s": "p99 latency s",
    "price_per_audio_hour": "price/audio h",
    "executed_gflops": "GFLOPs/utt.",
    "trainable_params": "trained thousands",
    "training_gflops": "training GFLOPs",
    "train_s": "training s",
}


def any_frontier_table(frontier: Frontier) -> Table:
    """Return the frontier of a run of either task as a table."""
    if isinstance(frontier.run, EmotionRunSummary):
        return emotion_frontier_table(frontier, frontier.run)
    return frontier_table(frontier)


def emotion_frontier_table(frontier: Frontier, run: EmotionRunSummary) -> Table:
    """Return the frontier as a table, cheapest point first, with an interval for every compared objective.

    Args:
        frontier: Of the run.
        run: The run, summarised.
    """
    columns = list(dict.fromkeys([*_COLUMNS, *(cost.name for cost in frontier.costs)]))
    rows = []
    for point in frontier.points:
        summary = point.summary
        assert isinstance(summary, EmotionPointSummary)
        cells = [objective_cell(point, name) for name in columns]
        rates = (f"{100 * summary.wa:.1f}", f"{100 * summary.macro_f1:.1f}")
        rows.append((point.title, *cells, *rates, dominator_of(point), verdict_of(point)))
    for gone in run.eliminated:
        shown = {"uar_loss": number_of("uar_loss", gone.loss)}
        if run.run.cost is not None:
            shown[run.run.cost] = number_of(run.run.cost, gone.cost)
        told = (title_of(gone.dominated_by), eliminated_words(gone))
        rows.append((title_of(gone.point), *(shown.get(name, "") for name in columns), "", "", *told))
    first, level = run.points[0], f"{100 * frontier.confidence:g} %"
    costs = " and ".join(cost.title for cost in frontier.costs)
    return Table(
        title=f"{run.run.quality_name} against {costs}: {first.n_utterances} utterances, {first.audio_s / 60:.1f} min "
        f"of {run.run.corpus}, {len(run.run.labels)} classes",
        columns=("point", *(_HEADS[name] for name in columns), "WA %", "macro-F1 %", "by", "verdict"),
        rows=tuple(rows),
        muted=(*(point.status == "dominated" for point in frontier.points), *(True for _ in run.eliminated)),
        notes=(
            *run.notices,
            *frontier.warnings,
            *noise_notes(run.samples.noise, frontier.costs),
            *verdict_notes(level),
            "UAR: mean over classes of the share recognised; higher is better. Training GFLOPs: all optimizer steps of "
            "one training; frozen layers run once for all points that share them and are not counted.",
        ),
        side=("WA %", "macro-F1 %", "by", *side_columns(frontier, columns, _HEADS)),
        bracketed=bracketed_columns(frontier, _HEADS),
    )


def confusion_table(point: EmotionPointSummary, labels: tuple[str, ...]) -> Table:
    """Return what each class was taken for, in percent of its utterances, with their number.

    Args:
        point: The point.
        labels: The classes, in the order of its confusion matrix.
    """
    rows = []
    for label, line in zip(labels, point.confusion, strict=True):
        total = sum(line)
        rows.append((label, *(f"{100 * count / total:.0f}" if total else "" for count in line), str(total)))
    return Table(
        title=f"{point.title}: what each class (row) is taken for (column), percent",
        columns=("class", *labels, "decisions"),
        rows=tuple(rows),
        muted=(False,) * len(rows),
        notes=("The diagonal is the recall of a class; their mean is the UAR. Seeds count as decisions of their own.",),
    )


def recall_table(run: EmotionRunSummary) -> Table:
    """Return the recall of every class at every point, in percent, best UAR first."""
    points = sorted(run.points, key=lambda point: point.uar_loss)
    cells = [["absent" if recall is None else f"{100 * recall:.0f}" for recall in point.recalls] for point in points]
    rows = [(p.title, OBJECTIVES["uar_loss"].show(p.uar_loss), *line) for p, line in zip(points, cells, strict=True)]
    return Table(
        title="Recall of every class, percent",
        columns=("point", "UAR", *run.run.labels),
        rows=tuple(rows),
        muted=(False,) * len(rows),
        notes=(),
    )
