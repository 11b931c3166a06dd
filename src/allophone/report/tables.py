"""Tables as rows of strings, for the terminal and the HTML report alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

from allophone.frontier.emotion import EmotionPointSummary, EmotionRunSummary
from allophone.frontier.noise_floor import noise_notes
from allophone.frontier.objectives import OBJECTIVES
from allophone.frontier.pareto import Frontier, FrontierPoint
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.ledger.race_record import Elimination
from allophone.records.names import title_of
from allophone.records.point import Task

__all__ = [
    "Table",
    "confusion_table",
    "dominator_of",
    "eliminated_words",
    "frontier_table",
    "objective_cell",
    "probability_of",
    "recall_table",
    "verdict_of",
]


@dataclass(frozen=True, slots=True)
class Table:
    """A table ready to print.

    Args:
        title: Stands above it.
        columns: Heads.
        rows: Cells, as many as heads in every row.
        muted: For every row whether it should stand back (a dominated point).
        notes: Lines below.
        side: Columns that a narrow terminal leaves out, the first one first.
        bracketed: Columns whose intervals in brackets it leaves out then, the first one first.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    muted: tuple[bool, ...]
    notes: tuple[str, ...]
    side: tuple[str, ...] = ()
    bracketed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the frontier's table shows of one task.

    Args:
        columns: Objectives that are shown whichever are compared, quality first, from the summarised run.
        rates: Further columns: their cells from a point's summary, by heading.
        corpus: What the title says of the corpus behind its name, from the run's record.
        notes: What a reader of these columns must know, from the run's record.
    """

    columns: Callable[[Any], tuple[str, ...]]
    rates: Mapping[str, Callable[[Any], str]]
    corpus: Callable[[Any], str]
    notes: Callable[[Any], tuple[str, ...]]


def _recognition_columns(run: RecognitionRunSummary) -> tuple[str, ...]:
    counted = all(isfinite(point.cer) for point in run.points)
    # Where words are long, or parted differently, they tell less than characters.
    characters = run.run.language != "en" and run.run.normalizer != "characters" and counted
    throughput = run.samples.throughput is not None
    return (
        "wer",
        *(("cer",) if characters else ()),
        *("rtf", "latency_p95_s", "executed_gflops", "peak_memory_bytes", "error_share", "p_worse"),
        *(("rtf_throughput",) if throughput else ()),
    )


_LAYOUTS: dict[Task, _Layout] = {
    "asr": _Layout(
        columns=_recognition_columns,
        rates={
            "of peak %": lambda point: _share(point.roofline_share),
            "S/D/I": lambda point: f"{point.substitutions}/{point.deletions}/{point.insertions}",
        },
        corpus=lambda record: "",
        notes=lambda record: (
            "Of peak: the least time that this machine's measured rates allow over the time it took (roofline).",
            f"{'Characters' if record.normalizer == 'characters' else 'Words'} are compared after the "
            f"{record.normalizer} normaliser.",
        ),
    ),
    "emotion": _Layout(
        columns=lambda run: (
            *("uar_loss", "rtf", "latency_p95_s", "executed_gflops", "trainable_params", "training_gflops"),
        ),
        rates={
            "WA %": lambda point: f"{100 * point.wa:.1f}",
            "macro-F1 %": lambda point: f"{100 * point.macro_f1:.1f}",
        },
        corpus=lambda record: f", {len(record.labels)} classes",
        notes=lambda record: (
            "UAR: mean over classes of the share recognised; higher is better. Training GFLOPs: all optimizer steps of "
            "one training; frozen layers run once for all points that share them and are not counted.",
        ),
    ),
}


def frontier_table(frontier: Frontier) -> Table:
    """Return the frontier of a run as a table, cheapest point first, with an interval for every compared objective."""
    run, record, layout = frontier.run, frontier.run.run, _LAYOUTS[frontier.run.task]
    columns = dict.fromkeys([*layout.columns(run), *(cost.name for cost in frontier.costs)])
    heads = {
        name: _INVERSES[name][0] if name in _INVERSES else record.heading_of(name, OBJECTIVES[name].heading)
        for name in columns
    }
    rows = []
    for point in frontier.points:
        rates = (show(point.summary) for show in layout.rates.values())
        cells = (objective_cell(point, name) for name in columns)
        rows.append((point.title, *cells, *rates, dominator_of(point), verdict_of(point)))
    for gone in run.eliminated:
        shown = {frontier.quality.name: frontier.quality.show_number(gone.loss)}
        if record.cost is not None:
            shown[record.cost] = OBJECTIVES[record.cost].show_number(gone.cost)
        told = (*("" for _ in layout.rates), title_of(gone.dominated_by), eliminated_words(gone))
        rows.append((title_of(gone.point), *(shown.get(name, "") for name in columns), *told))
    first, level = frontier.points[0].summary, f"{100 * frontier.confidence:g} %"
    costs = " and ".join(cost.title for cost in frontier.costs)
    return Table(
        title=f"{record.quality_name} against {costs}: {first.n_utterances} utterances, {first.audio_s / 60:.1f} min "
        f"of {record.corpus_title}{layout.corpus(record)}",
        columns=("point", *heads.values(), *layout.rates, "by", "verdict"),
        rows=tuple(rows),
        muted=(*(point.status == "dominated" for point in frontier.points), *(True for _ in run.eliminated)),
        notes=(
            *run.notices,
            *frontier.warnings,
            *noise_notes(run.samples.noise, frontier.costs),
            f"Brackets: {level} intervals, speakers resampled together, points paired. A point is on the frontier or "
            f"dominated (by the point named) where that is {level} sure, else tied; p is the probability that it is "
            "dominated, of others that it is on the frontier; * marks what is on the frontier as measured.",
            *layout.notes(record),
        ),
        side=(*layout.rates, "by", *_side_columns(frontier, heads)),
        bracketed=tuple(heads[item.name] for item in (*reversed(frontier.costs), frontier.quality)),
    )


def _side_columns(frontier: Frontier, heads: Mapping[str, str]) -> tuple[str, ...]:
    """Return the heads of objectives that are not compared, the last one first."""
    compared = {frontier.quality.name, *(cost.name for cost in frontier.costs)}
    return tuple(heads[name] for name in reversed(tuple(heads)) if name not in compared)


def objective_cell(point: FrontierPoint, name: str) -> str:
    """Return an objective of a point, with its interval where it has one."""
    value, interval = getattr(point.summary, name), point.intervals.get(name)
    show = _INVERSES[name][1] if name in _INVERSES else OBJECTIVES[name].show_number
    if interval is None or not isfinite(interval.low) or interval.low == interval.high:
        return show(value)
    turned = OBJECTIVES[name].complement or name in _INVERSES
    ends = (interval.high, interval.low) if turned else (interval.low, interval.high)
    return f"{show(value)} [{show(ends[0])}, {show(ends[1])}]"


def _speed(rtf: float) -> str:
    """Return seconds of audio per wall second with many recordings at once."""
    return "not measured" if isnan(rtf) else f"{1 / rtf:.1f}"


# Objectives whose inverse a frontier's table shows: what heads it, and its cells.
_INVERSES: dict[str, tuple[str, Callable[[float], str]]] = {"rtf_throughput": ("RTFx, many at once", _speed)}


def _share(share: float) -> str:
    return "unknown" if isnan(share) else f"{100 * share:.{1 if share < 0.01 else 0}f}"


def verdict_of(point: FrontierPoint) -> str:
    """Return a point's standing in words, with its probability."""
    star = "*" if point.nondominated else ""
    if point.status == "on":
        return f"on{star} ({probability_of(point.p_on_frontier)})"
    if point.status == "dominated":
        return f"dominated ({probability_of(point.p_dominated)})"
    if point.status == "tied":
        return f"tied{star} ({probability_of(point.p_on_frontier)})"
    return f"too few to say{star}" if point.status == "too few" else "not measured"


def dominator_of(point: FrontierPoint) -> str:
    """Return the name of the point that surely dominates it, else nothing."""
    return title_of(point.dominated_by) if point.status == "dominated" and point.dominated_by else ""


def eliminated_words(gone: Elimination) -> str:
    """Return why a race gave a point up, in words: dominated, or hardly to be shown better than what is no dearer."""
    why = "tied" if gone.tied else f"dominated, {probability_of(gone.p_dominated)}"
    return f"given up after {gone.utterances} ({why})"


def probability_of(p: float) -> str:
    """Return a probability in words."""
    # Never 0.00 or 1.00: a bootstrap is not certain of anything.
    if isnan(p):
        return "p unknown"
    return "p > 0.99" if p > 0.99 else "p < 0.01" if p < 0.01 else f"p {p:.2f}"


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
