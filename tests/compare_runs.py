"""Pairs of runs without an engine: errors and times chosen utterance by utterance, one point measured twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allophone.ledger.twin_record import TwinRow, add_twins
from allophone.records.point import OperatingPoint
from builders import write_run

TINY, STRIDE = OperatingPoint(model="tiny.en"), OperatingPoint(model="tiny.en", token_stride=2)
N_UTTERANCES, N_SPEAKERS = 60, 12


def utterances(errors: Sequence[int] | int, latency_s: float = 1.0, **changes: Any) -> list[dict[str, Any]]:
    """Sixty utterances of ten words by twelve speakers, so many of them wrong."""
    counts = [errors] * N_UTTERANCES if isinstance(errors, int) else errors
    return [
        {
            "hits": 10 - count,
            "substitutions": count,
            "speaker": f"s{index % N_SPEAKERS}",
            "latency_s": latency_s * (1 + 0.01 * (index % 7)),
            **changes,
        }
        for index, count in enumerate(counts)
    ]


def write_timed(folder: Path, rows: Mapping[OperatingPoint, list[dict[str, Any]]], **changes: Any) -> Path:
    """A run that knows its noise floor: the first point was measured twice, 2 % apart by turns."""
    write_run(folder, dict(rows), **{"n_speakers": N_SPEAKERS, **changes})
    point, found = next(iter(rows.items()))
    add_twins(
        folder,
        [
            TwinRow(point.name, index, row["latency_s"] * (1.02 if index % 2 else 0.98), None, None, 303_000_000)
            for index, row in enumerate(found[:40])
        ],
    )
    return folder
