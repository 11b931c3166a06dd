"""Journals: the rows of a point that is being measured, one JSON object per line, read with every line checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from allophone.errors import LedgerError
from allophone.ledger.run_record import RunRecord
from allophone.records.measurement import EmotionMeasurement, Measurement
from allophone.unicode_text import as_unicode

__all__ = ["COUNTS", "Journal", "Row", "drop_torn_line", "foreign_row", "journal_line", "read_journal"]

Row = Measurement | EmotionMeasurement

_KINDS: dict[str, tuple[type, ...]] = {"bool": (bool,), "str": (str,), "int": (int,), "float": (int, float)}
COUNTS = ("hits", "substitutions", "insertions", "deletions")  # none is ever negative
_LARGEST = 1 << 63  # integers are BIGINT columns


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal's rows.

    Args:
        lines: The lines that hold a row, in order.
        rows: The same, parsed.
        notices: What was passed over, with the line's number and the reason.
    """

    lines: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]


def journal_line(row: Row) -> str:
    """Return a row as a line of a journal; names that are no UTF-8 are written with their bytes escaped."""
    values = {name: as_unicode(value) if isinstance(value, str) else value for name, value in asdict(row).items()}
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"


def read_journal(path: Path, run: RunRecord, point: str) -> Journal:
    """Read the rows of a journal; damaged and doubled lines are passed over and named.

    A last line without its newline is being written, or was when its writer was killed: it is no row yet.

    Args:
        path: The file.
        run: The run that it belongs to.
        point: The point whose rows it holds.

    Raises:
        LedgerError: A line holds a row of another run or point: the file does not belong here.
        OSError: The file cannot be read.
    """
    lines, rows, notices = [], [], []
    seen: set[tuple[int, ...]] = set()
    for number, raw in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        if not raw.strip():
            continue
        row, problem = _parsed(raw, run)
        if row is not None:
            if foreign := foreign_row(row, run, point):
                raise LedgerError(
                    f"{path}: line {number}: {foreign}. The file is another run's; put it back there, or delete it."
                )
            key = tuple(row[name] for name in run.keys)
            problem = "the same row again" if key in seen else ""
            seen.add(key)
        if row is None or problem:
            notices.append(f"{path}: line {number} is passed over: {problem}. What it held is measured again.")
            continue
        lines.append(raw.decode())
        rows.append(row)
    return Journal(tuple(lines), tuple(rows), tuple(notices))


def foreign_row(row: Mapping[str, Any], run: RunRecord, point: str) -> str:
    """Say why a row is not one of this point of this run; the empty text where it is."""
    if row["point"] != point:
        return f"field 'point': a row of {row['point']}"
    if not 0 <= row["utterance_index"] < run.n_utterances:
        return f"field 'utterance_index': {row['utterance_index']}, and the run has {run.n_utterances} utterances"
    seeds = getattr(run, "seeds", None)
    if seeds is not None and row["seed"] not in seeds:
        return f"field 'seed': {row['seed']}, and the run has {', '.join(map(str, seeds))}"
    for name in ("normalizer", "relative_to"):
        if hasattr(run, name) and row.get(name) != getattr(run, name):
            return f"field '{name}': {row.get(name)}, and the run's is {getattr(run, name)}"
    return ""


def _parsed(raw: bytes, run: RunRecord) -> tuple[dict[str, Any] | None, str]:
    try:
        row = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None, "not a line of JSON"
    if not isinstance(row, dict):
        return None, "no object"
    for name, kind, optional in _KINDS_OF[run.row]:
        value = row.get(name)
        if value is None and optional:
            continue
        if name not in row:
            return None, f"field '{name}' is missing"
        if not _fits(value, kind) or (name in COUNTS and int(value or 0) < 0):
            return None, f"field '{name}' is {str(value)[:40]}"
    return row, ""


def _kinds(row: type[Row]) -> tuple[tuple[str, str, bool], ...]:
    """Return name and kind of every field of a row, and whether it may be None."""
    parts = [(field.name, str(field.type).partition(" | None")) for field in fields(row)]
    return tuple((name, kind, bool(optional)) for name, (kind, optional, _) in parts)


_KINDS_OF: dict[type, tuple[tuple[str, str, bool], ...]] = {
    row: _kinds(row) for row in (Measurement, EmotionMeasurement)
}


def _fits(value: object, kind: str) -> bool:
    if kind.startswith("list["):
        return isinstance(value, list) and all(_fits(item, kind[5:-1]) for item in value)
    wanted = _KINDS[kind]
    if isinstance(value, bool) and bool not in wanted:
        return False
    return isinstance(value, wanted) and not (kind == "int" and not -_LARGEST <= value < _LARGEST)  # type: ignore[operator]


def drop_torn_line(journal: Path) -> bool:
    """Cut off what follows the last newline; return whether anything is left."""
    with journal.open("rb+") as file:
        end = file.seek(0, 2)
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return True
            end = start
        file.truncate(0)
        return False
