"""Transcript sheet: the CSV that a person fills in."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from allophone.errors import UsageError
from allophone.files import file_sha256, whole_file

__all__ = ["COLUMNS", "SILENCE", "Row", "Transcripts", "read_cells", "read_transcripts", "write_transcripts"]

COLUMNS = ("utterance_id", "audio_path", "transcript")
HYPOTHESES = "hypotheses"
SILENCE = "[silence]"  # an empty cell is one that is not filled in yet
_DELIMITERS = ",;\t"  # spreadsheets of many countries write semicolons


@dataclass(frozen=True, slots=True)
class Row:
    """One line to fill in.

    Args:
        utterance_id: The utterance.
        audio_path: Where its recording lies; empty where the corpus is not found.
        transcript: What was said, or nothing yet.
        hypotheses: What was recognised, for those who want to see it.
    """

    utterance_id: str
    audio_path: str
    transcript: str = ""
    hypotheses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcripts:
    """What a person filled in.

    Args:
        path: The file.
        texts: Transcript by utterance id; an empty one says that nothing was spoken.
        empty: Utterances whose lines have no transcript.
        sha256: Digest of the file.
    """

    path: Path
    texts: dict[str, str]
    empty: tuple[str, ...]
    sha256: str


def write_transcripts(path: Path, rows: Sequence[Row], *, hypotheses: bool = False) -> None:
    """Write the lines, in UTF-8 with a byte order mark so that spreadsheets read it as such.

    Args:
        path: The file.
        rows: The lines.
        hypotheses: Whether to show what was recognised. A person who reads it first hears it too, so that errors of
            the models go unnoticed.

    Raises:
        LedgerError: The file cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow([*COLUMNS, *([HYPOTHESES] if hypotheses else [])])
    for row in rows:
        shown = [" | ".join(row.hypotheses)] if hypotheses else []
        table.writerow([row.utterance_id, row.audio_path, row.transcript, *shown])
    with whole_file(path) as partial:
        partial.write_bytes(text.getvalue().encode("utf-8-sig"))


def read_transcripts(path: Path, known: Collection[str]) -> Transcripts:
    """Read a filled CSV.

    Args:
        path: The file.
        known: Ids of the utterances that were drawn.

    Raises:
        UsageError: As :func:`read_cells`, or there is no transcript at all.
    """
    cells = read_cells(path, known)
    texts = {name: "" if text.lower() == SILENCE else text for name, text in cells.items() if text}
    if not texts:
        raise UsageError(
            f"{path}: holds no transcript ({len(cells)} empty lines). Fill in the column 'transcript'; write {SILENCE} "
            "where nothing is spoken."
        )
    return Transcripts(path, texts, tuple(name for name, text in cells.items() if not text), file_sha256(path))


def read_cells(path: Path, known: Collection[str]) -> dict[str, str]:
    """Read the column ``transcript`` as it stands, by utterance id.

    Cells are parted by commas, semicolons or tabs; other columns are ignored, and so are blank lines.

    Args:
        path: The file.
        known: Ids of the utterances that were drawn.

    Raises:
        UsageError: There is no such file, it is not UTF-8, lacks a column, or names an unknown utterance, or one
            twice; the message names file, line and remedy.
    """
    lines = io.StringIO(_decoded(path), newline="")
    head = lines.readline()
    lines.seek(0)
    table = csv.DictReader(lines, delimiter=max(_DELIMITERS, key=head.count), restval="")
    cells: dict[str, str] = {}
    allowed = set(known)
    try:
        table.fieldnames = [name.strip() for name in table.fieldnames or []]
        for column in ("utterance_id", "transcript"):
            if column not in table.fieldnames:
                raise UsageError(
                    f"{path}: column '{column}' is missing (found: {', '.join(table.fieldnames) or 'nothing'}). "
                    "Restore the heads that 'allophone label' wrote."
                )
        for line in table:
            name, text = line["utterance_id"].strip(), line["transcript"].strip()
            if not name and not text:
                continue
            where = f"{path}:{table.line_num}"
            if name not in allowed:
                raise UsageError(
                    f"{where}: utterance_id '{name}' was not drawn for this run. Correct it, or delete the line: "
                    "transcripts of recordings that a person chose would bias the estimate."
                )
            if name in cells:
                raise UsageError(f"{where}: utterance_id '{name}' occurs twice. Keep one line.")
            cells[name] = text
    except csv.Error as error:
        raise UsageError(f"{path}: not CSV ({error}). Save it as CSV (UTF-8).") from None
    return cells


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as CSV (UTF-8)."
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}). 'allophone label RUN --budget N' makes it."
        ) from None
