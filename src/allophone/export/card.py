"""The result card: what a run found, small enough to send, with all that says what it may be compared with.

It holds totals and intervals, no utterance, no transcript, no speaker and no path, so it can leave the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path, PurePath

from pydantic import BaseModel, ConfigDict

from allophone.errors import SpaceError
from allophone.export.markup import markdown_rows, markdown_text
from allophone.files import read_record
from allophone.frontier.objectives import OBJECTIVES, objectives_of
from allophone.frontier.summary import RunSummary
from allophone.ledger.machine import MachineStamp
from allophone.ledger.run_record import error_heading
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import intervals
from allophone.records.names import title_of
from allophone.records.point import Task

__all__ = ["CARD_FILE", "Card", "CardMeasure", "CardPoint", "card_markdown", "make_card", "read_card"]

CARD_FILE = "card.json"
CARD_SCHEMA_VERSION = 1
REPLICATES = 10_000
_HEADLINE = ("wer", "cer", "uar_loss", "rtf", "latency_p95_s", "executed_gflops", "peak_memory_bytes")


class CardMeasure(BaseModel):
    """One measure of one point in base units, with its interval; its ends are None where it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float | None = None
    high: float | None = None


class CardPoint(BaseModel):
    """One operating point; ``weights_sha256`` is the digest of the weights that ran, None where it is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weights_sha256: str | None = None
    measures: dict[str, CardMeasure]

    @property
    def title(self) -> str:
        """Name of the point for people."""
        return title_of(self.name)


class Card(BaseModel):
    """What one run found, and on what.

    ``corpus`` is a name, ``fingerprint`` what it holds. Error rates compare between cards of equal fingerprint,
    normaliser and reference; times between cards of equal ``machine``, ``device`` and ``threads``. ``level`` is that of
    the intervals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = CARD_SCHEMA_VERSION
    task: Task
    created: str
    corpus: str
    fingerprint: str
    n_utterances: int
    n_speakers: int
    audio_s: float
    normalizer: str | None = None
    language: str | None = None
    relative_to: str | None = None
    quality_name: str
    level: float
    machine: MachineStamp
    device: str
    threads: int
    noise_floors: dict[str, float] = {}
    notices: list[str] = []
    points: list[CardPoint]

    def heading_of(self, name: str) -> str:
        """Return what heads an objective's column."""
        return error_heading(name, OBJECTIVES[name].heading, self.quality_name, self.relative_to)


def make_card(summary: RunSummary, level: float = 0.95) -> Card:
    """Return the card of a run.

    Args:
        summary: The run.
        level: Of the intervals.
    """
    run, samples = summary.run, summary.samples
    resample = draw_blocks(samples.speakers, n_replicates=REPLICATES)
    measures: list[dict[str, CardMeasure]] = [{} for _ in summary.points]
    for name in objectives_of(summary.task):
        try:
            found = intervals(samples.resample(name, resample), level)
        except SpaceError:  # not measured
            continue
        for point, interval, known in zip(summary.points, found, measures, strict=True):
            value = float(getattr(point, name))
            if isfinite(value):
                ends = (interval.low, interval.high)
                low, high = ends if all(map(isfinite, ends)) and ends[0] < ends[1] else (None, None)
                known[name] = CardMeasure(value=value, low=low, high=high)
    weights: dict[str, str] = getattr(run, "weights", {})
    return Card(
        task=summary.task,
        created=run.created,
        corpus=PurePath(run.corpus).name,
        fingerprint=run.fingerprint,
        n_utterances=len(samples.utterances),
        n_speakers=resample.n_speakers,
        audio_s=float(samples.duration_s.sum()),
        normalizer=getattr(run, "normalizer", None),
        language=getattr(run, "language", None),
        relative_to=getattr(run, "relative_to", None),
        quality_name=run.quality_name,
        level=level,
        machine=run.machine,
        device=run.device,
        threads=run.threads,
        noise_floors={name: floor for name, floor in samples.noise_floors.items() if isfinite(floor)},
        notices=[*([resample.warning] if resample.warning else []), *_without_paths(summary.notices)],
        points=[
            CardPoint(name=point.name, weights_sha256=weights.get(getattr(point.point, "model", "")), measures=measured)
            for point, measured in zip(summary.points, measures, strict=True)
        ],
    )


def _without_paths(notices: Sequence[str]) -> list[str]:
    return [notice for notice in notices if "/" not in notice and "\\" not in notice]


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        UsageError: The file is missing, no JSON, of another schema version, or has an impossible field.
    """
    return read_record(path, Card, CARD_SCHEMA_VERSION, "'allophone export RUN --format card' makes one.")


def card_markdown(card: Card) -> str:
    """Return a card as people read it, in Markdown."""
    names = [name for name in _HEADLINE if any(name in point.measures for point in card.points)]
    heads = [card.heading_of(name) for name in names]
    rows = [[point.title, *(_cell(point, name) for name in names)] for point in card.points]
    versions = ", ".join(f"{name} {version}" for name, version in card.machine.packages.items())
    facts = [
        f"corpus: {card.corpus}, {card.n_utterances} utterances, {card.audio_s / 60:.1f} min, {card.n_speakers} "
        f"speakers, fingerprint {card.fingerprint[:12]}",
        f"quality: {card.quality_name}" + (f", {card.normalizer} normaliser" if card.normalizer else ""),
        f"machine: {card.machine.processor}, {card.machine.cores} cores, {card.device}, "
        f"threads {card.threads or 'auto'}",
        f"software: Python {card.machine.python}; {versions}",
        f"brackets: {100 * card.level:g} % intervals over speakers",
        *card.notices,
    ]
    told = "\n".join(f"- {markdown_text(fact)}" for fact in facts)
    return f"# Result card: {markdown_text(card.corpus)}\n\n{markdown_rows(('point', *heads), rows)}\n\n{told}\n"


def _cell(point: CardPoint, name: str) -> str:
    measure, objective = point.measures.get(name), OBJECTIVES[name]
    if measure is None:
        return ""
    shown = objective.show_number(measure.value)
    if measure.low is None or measure.high is None:
        return shown
    low, high = objective.shown_ends(measure.low, measure.high)
    return f"{shown} [{low:.{objective.decimals}f}, {high:.{objective.decimals}f}]"
