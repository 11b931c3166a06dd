"""The noise floor of a cost: how far apart two equal points come out on one machine, from a run's A/A pair.

A sweep measures one point twice (:mod:`allophone.sweeps.twin`). Between the two nothing differs but the moment, so which
of them is called the first does not matter, and their difference is as likely to have the other sign. The spread of the
difference of their totals is that of all draws in which the two are exchanged, speaker by speaker, at random (the
randomisation test of paired data; Edgington and Onghena, "Randomization tests", 2007). The floor is what the absolute
relative difference of two equal points stays below with 95 % probability, and never less than what was seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from allophone.ledger.twin_record import read_twins
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import Replicates

if TYPE_CHECKING:
    import duckdb

__all__ = ["TIMED", "Noise", "Twins", "estimate_noise", "noise_floor", "read_noise", "with_noise"]

FloatArray = npt.NDArray[np.float64]

TIMED = ("rtf", "latency_p50_s", "latency_p95_s")  # costs that hold the machine's noise
MEMORY_RESOLUTION = 0.01  # allocators hand memory back in chunks: two peaks nearer than this are not told apart
_EXCHANGES = 4_000
_LEVEL = 0.95
# Two-sided 95 % point of Student's t, by degrees of freedom; between them the next smaller one counts.
_STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 8: 2.31, 10: 2.23, 15: 2.13, 20: 2.09, 30: 2.04}
_NORMAL = 1.96


@dataclass(frozen=True, slots=True)
class Noise:
    """What the machine's noise does to one cost.

    Args:
        floor: What the relative difference of two equal points stays below with 95 % probability, a fraction.
        deviation: Standard deviation of that difference, a fraction.
        pairs: Utterances that were measured twice.
    """

    floor: float
    deviation: float
    pairs: int


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """The two measurements of the A/A pair.

    Args:
        speakers: Speaker of every utterance, or None.
        latency_s: Shape (2, n_pairs), as the array below.
        peak_memory_bytes: NaN where it was not watched.
    """

    speakers: tuple[str | None, ...]
    latency_s: FloatArray
    peak_memory_bytes: FloatArray


def read_noise(connection: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, Noise]:
    """Read what a run's A/A pair says, on the utterances that all points share.

    Args:
        connection: It holds the view ``measurements`` and the table ``shared``.
        folder: The run folder.

    Returns:
        Noise by cost; of a cost that is not in it the noise is unknown, as of all where the run has no pair.

    Raises:
        LedgerError: The run's ``twin.jsonl`` is damaged.
    """
    found = read_twins(folder)
    if not found:
        return {}
    described = {name for name, *_ in connection.execute("DESCRIBE measurements").fetchall()}
    seed = "seed" if "seed" in described else "0"
    peak = "peak_memory_bytes" if "peak_memory_bytes" in described else "NULL"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE twins AS SELECT unnest(?) AS point, unnest(?) AS place, unnest(?) AS twin_seed, "
        "unnest(?) AS twin_latency_s, unnest(?) AS twin_peak",
        [
            [row.point for row in found.values()],
            [row.utterance_index for row in found.values()],
            [row.seed for row in found.values()],
            [row.latency_s for row in found.values()],
            [row.peak_memory_bytes for row in found.values()],
        ],
    )
    rows = connection.execute(
        f"SELECT speaker, latency_s, twin_latency_s, {peak}, twin_peak FROM measurements JOIN twins "
        f"ON measurements.point = twins.point AND utterance_index = place AND {seed} = twin_seed "
        "SEMI JOIN shared USING (utterance_index) WHERE error IS NULL AND latency_s > 0 AND twin_latency_s > 0 "
        "ORDER BY utterance_index, measurements.point, twin_seed"
    ).fetchall()
    values = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 4).T
    return estimate_noise(Twins(tuple(row[0] for row in rows), values[:2], values[2:]))


def estimate_noise(twins: Twins, seed: int = 0) -> dict[str, Noise]:
    """Return the noise of every cost that a pair tells of; of times only where it has two utterances or more.

    Args:
        twins: The pair.
        seed: Of the exchanges.
    """
    n_pairs = twins.latency_s.shape[1]
    found: dict[str, Noise] = {}
    if n_pairs >= 2:
        exchanged, n_blocks = _exchanges(twins.speakers, seed)
        first, second = twins.latency_s
        totals = first.sum() + second.sum()
        signs = np.where(exchanged, -1.0, 1.0)
        drawn = 2 * signs @ (second - first) / totals
        seen = 2 * float((second - first).sum()) / totals
        found["rtf"] = _noise(drawn, seen, n_blocks, n_pairs)
        ordered = np.where(exchanged[:, None], twins.latency_s[::-1], twins.latency_s)  # (n_exchanges, 2, n_pairs)
        for name, share in (("latency_p50_s", 0.5), ("latency_p95_s", 0.95)):
            quantiles = np.quantile(ordered, share, axis=-1, method="inverted_cdf")
            measured = np.quantile(twins.latency_s, share, axis=-1, method="inverted_cdf")
            found[name] = _noise(_apart(quantiles.T), float(_apart(measured)), n_blocks, n_pairs)
    if (memory := _memory_noise(twins.peak_memory_bytes)) is not None:
        found["peak_memory_bytes"] = memory
    return found


def _exchanges(speakers: Sequence[str | None], seed: int) -> tuple[npt.NDArray[np.bool_], int]:
    """In which draws the two of every utterance are exchanged, shape (n_exchanges, n_pairs), and the blocks drawn."""
    blocks = draw_blocks(speakers, n_replicates=1)
    drawn = np.random.default_rng((seed, 5)).integers(0, 2, size=(_EXCHANGES, blocks.n_blocks)).astype(np.bool_)
    return drawn[:, blocks.blocks], blocks.n_blocks


def _apart(pair: FloatArray) -> FloatArray:
    """The second minus the first over their mean."""
    return np.asarray(2 * (pair[1] - pair[0]) / (pair[0] + pair[1]))


def _noise(drawn: FloatArray, seen: float, n_blocks: int, n_pairs: int) -> Noise:
    deviation = float(np.sqrt(np.mean(drawn**2)))
    # The mean is known to be 0, so every block tells of the spread.
    reach = next((t for count, t in reversed(_STUDENT.items()) if n_blocks >= count), _NORMAL)
    return Noise(max(abs(seen), (_NORMAL if n_blocks > 60 else reach) * deviation), deviation, n_pairs)


def _memory_noise(peaks: FloatArray) -> Noise | None:
    watched = peaks[:, ~np.isnan(peaks).any(axis=0)]
    if not watched.shape[1]:
        return None
    apart = float(np.abs(_apart(watched)).max())
    return Noise(max(apart, MEMORY_RESOLUTION), 0.0, watched.shape[1])


def noise_floor(noise: Mapping[str, Noise], name: str) -> float:
    """Return the relative difference below which two points' costs are not told apart.

    Args:
        noise: Of a run's samples.
        name: An objective.

    Returns:
        A fraction; 0 where the objective holds no noise of the machine, NaN where the noise is unknown.
    """
    if name in noise:
        return noise[name].floor
    return float("nan") if name in (*TIMED, "peak_memory_bytes") else 0.0


def with_noise(replicates: Replicates, noise: Noise | None, seed: int) -> Replicates:
    """Let replicates hold the machine's noise too: each point's are multiplied by noise of their own.

    A point alone has a variance half of that of a difference of two. In one replicate a point's noise is the same for
    every cost.

    Args:
        replicates: Of a time.
        noise: Of that cost; None where it is unknown, which leaves the replicates as they are.
        seed: Of the resample.
    """
    if noise is None or noise.deviation == 0:
        return replicates
    deviation = noise.deviation / np.sqrt(2)
    draws = np.random.default_rng((seed, 4)).standard_normal(replicates.values.shape)
    values = replicates.values * np.exp(deviation * draws)
    if replicates.pivots is None or replicates.standard_errors is None:
        return replace(replicates, values=values)
    apart = np.abs(replicates.values - replicates.estimates)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(apart > 0, apart / replicates.pivots, replicates.standard_errors)
    noisy = deviation * replicates.estimates
    pivots = np.abs(values - replicates.estimates) / np.hypot(errors, noisy)
    return replace(
        replicates, values=values, standard_errors=np.hypot(replicates.standard_errors, noisy), pivots=pivots
    )
