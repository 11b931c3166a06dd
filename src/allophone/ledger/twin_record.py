"""``twin.jsonl``: one point of a run measured twice, so that the run knows how far apart two equal points come out.

A line is a second measurement of a point on an utterance, with the fields of its costs alone. It is written before the
first one's row, in whose turn it was made, so a kill between the two leaves no row without its twin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from allophone.ledger.record_lines import append_records, read_records

__all__ = ["TWIN_FILE", "TwinRow", "add_twins", "read_twins"]

TWIN_FILE = "twin.jsonl"

_REMEDY = "Restore it, or delete it: the run then does not know its noise floor."


@dataclass(frozen=True, slots=True)
class TwinRow:
    """A second measurement; the fields are those of :class:`allophone.records.Measurement`.

    ``seed`` tells the trainings of an emotion run apart; it is 0 in runs of speech recognition.
    """

    point: str
    utterance_index: int
    latency_s: float
    cpu_s: float | None
    load_average: float | None
    peak_memory_bytes: int | None
    seed: int = 0

    @property
    def key(self) -> tuple[str, int, int]:
        """Point, utterance and seed."""
        return (self.point, self.utterance_index, self.seed)


def add_twins(folder: Path, rows: Iterable[TwinRow]) -> None:
    """Append rows to a run's file.

    Raises:
        LedgerError: The folder cannot be written.
    """
    append_records(folder / TWIN_FILE, rows)


def read_twins(folder: Path) -> dict[tuple[str, int, int], TwinRow]:
    """Read a run's twins by point, utterance and seed; none where the run was measured before there were any.

    A last line that a kill cut short is no row yet.

    Raises:
        LedgerError: The file cannot be read, or a line is damaged.
    """
    return {row.key: row for row in read_records(folder / TWIN_FILE, TwinRow, _REMEDY)}
