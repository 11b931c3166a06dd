"""The report: one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from allophone.decide import decide
from allophone.diagnosis.diagnose import diagnose
from allophone.errors import SpaceError
from allophone.files import write_whole
from allophone.frontier.emotion import EmotionRunSummary
from allophone.frontier.pareto import Frontier
from allophone.frontier.summarise import summarise_run
from allophone.records.point import Task
from allophone.records.saved_point import DECISION_FILE, Decision, read_decision
from allophone.report.answers import answer_pairs
from allophone.report.diagnosis import breakdown_lines, diagnosis_table, verdict_lines
from allophone.report.figures import draw_frontier, frontier_figure
from allophone.report.tables import Table, confusion_table, frontier_table, recall_table
from allophone.version import __version__

__all__ = ["REPORT_FILE", "write_report"]

REPORT_FILE = "report.html"
FRONTIER_FILE = "frontier.json"


def write_report(run: str | Path, cost: str | Sequence[str] = "rtf", out: str | Path | None = None) -> Path:
    """Write ``report.html`` for a run, and ``frontier.json`` beside it where the report goes into the run.

    The recommendation shown is the last one saved in the run; without one it is the point of lowest word error rate.
    What ``allophone diagnose`` says of that point at the first cost stands below it.

    Args:
        run: The run folder.
        cost: One or two costs; the first is on the horizontal axis.
        out: Where the HTML goes; in the run where None.

    Returns:
        Path of the HTML file.

    Raises:
        LedgerError: Not a run, nothing measured, or the folder cannot be written.
        SpaceError: Unknown cost.
    """
    import jinja2

    folder = Path(run)
    frontier = Frontier.from_summary(summarise_run(folder), cost)
    decision = _decision(folder, frontier)
    figure = frontier_figure(frontier, decision.point.name)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("allophone.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    record = frontier.run.run
    page = environment.get_template("report.html.j2").render(
        record=record,
        decision=decision,
        quality=frontier.quality,
        class_tables=_TABLES[record.task](frontier.run, decision.point.name),
        table=frontier_table(frontier),
        diagnosis=_diagnosis(folder, decision.point.name, frontier.costs[0].name),
        failures=frontier.run.failures,
        figure=draw_frontier(figure).to_html(
            full_html=False, include_plotlyjs=True, config={"displaylogo": False, "responsive": True}
        ),
        version=__version__,
        settings=[
            ("corpus", f"{record.corpus} ({record.n_utterances} utterances, {record.n_speakers} speakers)"),
            ("fingerprint", record.fingerprint[:16]),
            ("plan", f"{record.plan}, {len(record.points)} points"),
            *_TASK_SETTINGS[record.task](record),
            (
                "processor",
                f"{record.machine.processor}, {record.machine.cores} cores, {record.threads or 'automatic'} threads, "
                f"{record.device}",
            ),
            ("system", f"{record.machine.system}, Python {record.machine.python}"),
            ("packages", ", ".join(f"{name} {version}" for name, version in record.machine.packages.items())),
            ("measured", record.created),
        ],
    )
    target = Path(out) if out is not None else folder / REPORT_FILE
    write_whole(target, page)
    if out is None:  # a run that may only be read has its report elsewhere
        write_whole(folder / FRONTIER_FILE, frontier.to_json())
    return target


_TASK_SETTINGS: dict[Task, Callable[[Any], list[tuple[str, str]]]] = {
    "asr": lambda record: [("normaliser", record.normalizer), ("language", record.language)],
    "emotion": lambda record: [
        ("classes", ", ".join(record.labels)),
        ("split", f"{', '.join(record.folds)} ({record.split_fingerprint[:16]}), speakers disjoint"),
        ("seeds", ", ".join(str(seed) for seed in record.seeds)),
        ("precision", record.precision),
    ],
}


def _class_tables(run: EmotionRunSummary, point: str) -> list[Table]:
    chosen = next(found for found in run.points if found.name == point)
    return [confusion_table(chosen, run.run.labels), recall_table(run)]


_TABLES: dict[Task, Callable[[Any, str], list[Table]]] = {"asr": lambda run, point: [], "emotion": _class_tables}


def _diagnosis(folder: Path, point: str, cost: str) -> dict[str, Any] | None:
    """What the template shows of a diagnosis, or None where the point's cost was not measured."""
    try:
        found = replace(diagnose(folder, point, cost), base_source="recommended")
    except SpaceError:
        return None
    return {
        "table": diagnosis_table(found),
        "verdicts": [line.partition(": ")[::2] for line in verdict_lines(found)],
        "answers": answer_pairs(found),
        "anatomy": breakdown_lines(found),
    }


def _decision(folder: Path, frontier: Frontier) -> Decision:
    saved = folder / DECISION_FILE
    if saved.is_file():
        decision = read_decision(saved)
        if any(point.name == decision.point.name for point in frontier.points):
            return decision
    return decide(folder, {}, summary=frontier.run)
