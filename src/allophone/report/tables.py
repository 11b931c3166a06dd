"""Tables as rows of strings, for the terminal and the HTML report alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan

from allophone.frontier.noise_floor import noise_notes
from allophone.frontier.objectives import OBJECTIVES, QUALITY
from allophone.frontier.pareto import Frontier, FrontierPoint
from allophone.frontier.recognition import RecognitionPointSummary, RecognitionRunSummary
from allophone.ledger.race_record import Elimination
from allophone.ledger.run_record import RecognitionRunRecord
from allophone.records.names import title_of

__all__ = [
    "Table",
    "bracketed_columns",
    "dominator_of",
    "eliminated_words",
    "frontier_table",
    "number_of",
    "objective_cell",
    "probability_of",
    "side_columns",
    "verdict_notes",
    "verdict_of",
]

_COLUMNS = ("wer", "rtf", "latency_p95_s", "executed_gflops", "peak_memory_bytes", "error_share", "p_worse")


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


def _counts_characters(frontier: Frontier) -> bool:
    return all(isfinite(getattr(point.summary, "cer", nan)) for point in frontier.points)


def frontier_table(frontier: Frontier) -> Table:
    """Return the frontier of a run of speech recognition as a table, cheapest point first.

    Every compared objective has its interval.
    """
    record = frontier.run.run
    assert isinstance(record, RecognitionRunRecord)
    heads = {
        "wer": f"{record.quality_name} %" if record.relative_to is None else "diff. %",
        "cer": "CER %" if record.relative_to is None else "char. diff. %",
        "rtf": "RTF",
        "latency_p50_s": "p50 latency s",
        "latency_p95_s": "p95 latency s",
        "executed_gflops": "GFLOPs/utt.",
        "published_gflops": "published GFLOPs/utt.",
        "peak_memory_bytes": "peak MB",
        "rtf_throughput": "RTFx, many at once",
        "error_share": "perfect %",
        "p_worse": "worse %",
        "latency_p99_s": "p99 latency s",
        "price_per_audio_hour": "price/audio h",
    }
    columns = list(dict.fromkeys([*_COLUMNS, *(cost.name for cost in frontier.costs)]))
    if record.language != "en" and record.normalizer != "characters" and _counts_characters(frontier):
        columns.insert(1, "cer")  # where words are long, or parted differently, they tell less
    if isinstance(frontier.run, RecognitionRunSummary) and frontier.run.samples.throughput is not None:
        columns = list(dict.fromkeys([*columns, "rtf_throughput"]))
    rows = []
    for point in frontier.points:
        summary = point.summary
        assert isinstance(summary, RecognitionPointSummary)
        cells = [
            throughput_cell(point, summary) if name == "rtf_throughput" else objective_cell(point, name)
            for name in columns
        ]
        errors = f"{summary.substitutions}/{summary.deletions}/{summary.insertions}"
        rows.append(
            (point.title, *cells, _share(summary.roofline_share), errors, dominator_of(point), verdict_of(point))
        )
    for gone in frontier.run.eliminated:
        shown = {"wer": number_of("wer", gone.loss)}
        if (raced := frontier.run.run.cost) is not None:
            shown[raced] = number_of(raced, gone.cost)
        cells = [shown.get(name, "") for name in columns]
        rows.append((title_of(gone.point), *cells, "", "", title_of(gone.dominated_by), eliminated_words(gone)))
    first = frontier.points[0].summary
    compared = f"{first.n_utterances} utterances, {first.audio_s / 60:.1f} min"
    costs = " and ".join(cost.title for cost in frontier.costs)
    level = f"{100 * frontier.confidence:g} %"
    return Table(
        title=f"{record.quality_name} against {costs}: {compared} of {record.corpus}",
        columns=("point", *(heads[name] for name in columns), "of peak %", "S/D/I", "by", "verdict"),
        rows=tuple(rows),
        muted=(
            *(point.status == "dominated" for point in frontier.points),
            *(True for _ in frontier.run.eliminated),
        ),
        notes=(
            *frontier.run.notices,
            *frontier.warnings,
            *noise_notes(frontier.run.samples.noise, frontier.costs),
            *verdict_notes(level),
            "Of peak: the least time that this machine's measured rates allow over the time it took (roofline).",
            f"{'Characters' if record.normalizer == 'characters' else 'Words'} are compared after the "
            f"{record.normalizer} normaliser.",
        ),
        side=("of peak %", "S/D/I", "by", *side_columns(frontier, columns, heads)),
        bracketed=bracketed_columns(frontier, heads),
    )


def verdict_notes(level: str) -> tuple[str, ...]:
    """Return what a reader of intervals and verdicts must know.

    Args:
        level: Of the intervals, in words.
    """
    return (
        f"Brackets: {level} intervals, speakers resampled together, points paired. A point is on the frontier or "
        f"dominated (by the point named) where that is {level} sure, else tied; p is the probability that it is "
        "dominated, of others that it is on the frontier; * marks what is on the frontier as measured.",
    )


def bracketed_columns(frontier: Frontier, heads: Mapping[str, str]) -> tuple[str, ...]:
    """Return the heads of compared objectives, quality last."""
    return tuple(heads[item.name] for item in (*reversed(frontier.costs), frontier.quality))


def side_columns(frontier: Frontier, names: Sequence[str], heads: Mapping[str, str]) -> tuple[str, ...]:
    """Return the heads of objectives that are not compared, the last one first."""
    compared = {QUALITY[frontier.run.task], *(cost.name for cost in frontier.costs)}
    return tuple(heads[name] for name in reversed(names) if name not in compared)


def objective_cell(point: FrontierPoint, name: str) -> str:
    """Return an objective of a point, with its interval where it has one."""
    shown = number_of(name, getattr(point.summary, name))
    interval = point.intervals.get(name)
    if interval is None or not isfinite(interval.low) or interval.low == interval.high:
        return shown
    ends = (interval.high, interval.low) if OBJECTIVES[name].complement else (interval.low, interval.high)
    return f"{shown} [{number_of(name, ends[0])}, {number_of(name, ends[1])}]"


def throughput_cell(point: FrontierPoint, summary: RecognitionPointSummary) -> str:
    """Return a point's seconds of audio a wall second with many recordings at once, with its interval if it has one."""
    value, interval = summary.rtf_throughput, point.intervals.get("rtf_throughput")
    if isnan(value):
        return "not measured"
    if interval is None or not isfinite(interval.low) or interval.low == interval.high:
        return f"{1 / value:.1f}"
    return f"{1 / value:.1f} [{1 / interval.high:.1f}, {1 / interval.low:.1f}]"


def number_of(name: str, value: float) -> str:
    """Return an objective's value as people read it, without its unit."""
    return OBJECTIVES[name].show(value).split(" ")[0]


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
