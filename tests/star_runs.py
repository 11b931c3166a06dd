"""Runs without an engine whose errors and costs are chosen point by point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allophone.records.point import OperatingPoint
from builders import write_run

WORDS = "red green blue brown black white pink gold silver purple"
WRONG = "cat dog cow hen pig fox owl bat ant bee"
BASE = OperatingPoint(model="tiny.en")


def rows(errors: int | Sequence[int], gflops: float, n: int = 40, speakers: int = 10) -> list[dict[str, Any]]:
    """n utterances of ten words, the first ``errors`` of them wrong, at a cost of ``gflops`` each."""
    counts = [errors] * n if isinstance(errors, int) else errors
    return [
        {
            "reference": WORDS,
            "hypothesis": " ".join([*WRONG.split()[:count], *WORDS.split()[count:]]),
            "hits": 10 - count,
            "substitutions": count,
            "speaker": f"s{index % speakers}",
            "executed_flops": round(gflops * 1e9),
        }
        for index, count in enumerate(counts)
    ]


def write_star(
    folder: Path, points: Mapping[OperatingPoint, tuple[int | Sequence[int], float]], **changes: Any
) -> Path:
    """A run in which every point has the given errors per utterance and GFLOPs."""
    return write_run(folder, {point: rows(errors, gflops) for point, (errors, gflops) in points.items()}, **changes)
