"""Runs of two or three points in which doubtful tokens tell of errors that the dearer point mends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.errors import UsageError
from allophone.records.point import OperatingPoint
from allophone.routing.routers import Order, Overhead, last_kept
from allophone.routing.samples import RouteSamples
from builders import write_run

TINY = OperatingPoint(model="fake:tiny")
BASE = OperatingPoint(model="fake:base")
SMALL = OperatingPoint(model="fake:small")
GFLOPS = {TINY: 10.0, BASE: 40.0, SMALL: 120.0}
ENCODER_FRAMES = 200


def write_routed(
    folder: Path,
    n: int = 120,
    speakers: int = 12,
    *,
    points: tuple[OperatingPoint, ...] = (TINY, BASE),
    seed: int = 0,
    prefix: str = "s",
    noise: float = 0.3,
) -> Path:
    """Ten-word utterances; a hard one has doubtful tokens and many errors; each point mends two thirds."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(n) ** 2
    rows: dict[OperatingPoint, list[dict[str, Any]]] = {}
    for place, point in enumerate(points):
        rows[point] = []
        for index in range(n):
            errors = int(np.clip(round(7 * hardness[index] / 3**place + noise * rng.normal()), 0, 10))
            uncertainty = np.clip(0.02 + hardness[index] / 3**place + 0.05 * rng.normal(size=10), 0.001, 0.95)
            duration = 2.0 + index % 5
            rows[point].append(
                {
                    "speaker": f"{prefix}{index % speakers}",
                    "duration_s": duration,
                    "hits": 10 - errors,
                    "substitutions": errors,
                    "text_tokens": 10,
                    "window_frames": [ENCODER_FRAMES],
                    "token_logprobs": np.log(1 - uncertainty).tolist(),
                    "token_entropies": uncertainty.tolist(),
                    "avg_logprob": float(np.log(1 - uncertainty).mean()),
                    "executed_flops": round(GFLOPS[point] * 1e9 * duration / 4),
                    "latency_s": GFLOPS[point] / 100,
                    "prepare_s": 0.01,
                    "encode_s": GFLOPS[point] / 200,
                    "decode_s": GFLOPS[point] / 200 - 0.01,
                }
            )
    return write_run(folder, rows)


@dataclass(frozen=True)
class FixedRouter:
    """Always the point at one index, whatever the threshold."""

    point: int
    order: Order = "direct"

    @property
    def overhead(self) -> Overhead:
        return Overhead()

    @property
    def name(self) -> str:
        return f"fixed-{self.point}"

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Infinite up to its point, minus infinity from there."""
        if not 0 <= self.point < len(samples.points):
            raise UsageError(f"point {self.point} of {len(samples.points)}; places go from 0.")
        steps = np.where(np.arange(len(samples.points) - 1) < self.point, np.inf, -np.inf)
        return np.repeat(steps[:, None], len(samples), axis=1)

    def kept(self, samples: RouteSamples) -> IntArray:
        return last_kept(samples)
