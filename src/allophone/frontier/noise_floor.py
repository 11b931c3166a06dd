"""The noise floor of a cost: how far apart two equal points come out on one machine, from a run's A/A pair.

A sweep measures one point twice (:mod:`allophone.sweeps.recognition.twin`). Between the two nothing differs but the
moment, so which of them is called the first does not matter: an utterance's difference is as likely to have the other
sign. The spread of the difference of their totals is that of all draws in which the two are exchanged, utterance by
utterance, at random (the randomisation test of paired data; Edgington and Onghena, "Randomization tests", 2007).
Speakers are no blocks here: both have the same audio, and the order of points is drawn anew for every utterance.

The floor is what the absolute relative difference of two equal points stays below with 95 % probability, and never less
than what was seen. A spread that a few hiccups make is known badly, so the normal quantile gives way to Student's, with
as many degrees of freedom as there are utterances that carry the differences, ``(sum of squares)² / sum of fourth
powers``. A quantile jumps from one utterance to the next, so its spread is the mean over those near it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import SpaceError
from allophone.frontier.objectives import Objective
from allophone.ledger.twin_record import read_twins
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates, resample_ratio
from allophone.measure.quantiles import resample_quantile

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "QUANTILES",
    "TIMED",
    "Noise",
    "Twins",
    "estimate_noise",
    "noise_floor",
    "noise_notes",
    "read_noise",
    "resample_time",
    "with_noise",
]


QUANTILES = {"latency_p50_s": 0.5, "latency_p95_s": 0.95, "latency_p99_s": 0.99}
LEAST_FOR_P99 = 400  # of fewer, none lies beyond the 99th percentile in more than 2.5 % of corpora: 0.99^367
TIMED = ("rtf", *QUANTILES)  # costs that hold the machine's noise
MEMORY_RESOLUTION = 0.01  # allocators hand memory back in chunks: two peaks nearer than this are not told apart
_EXCHANGES = 2_000
_NORMAL = 1.96  # two-sided 95 % point, and those of Student's t by degrees of freedom
_STUDENT = {
    1: 12.71,
    2: 4.30,
    3: 3.18,
    4: 2.78,
    5: 2.57,
    6: 2.45,
    8: 2.31,
    10: 2.23,
    12: 2.18,
    15: 2.13,
    20: 2.09,
    25: 2.06,
    30: 2.04,
    60: 2.0,
    120: _NORMAL,
}
_NEAR = np.arange(-1.5, 2, 0.5)  # standard errors of a share within which quantiles are near each other


@dataclass(frozen=True, slots=True)
class Noise:
    """What the machine's noise does to one cost.

    Args:
        floor: What the relative difference of two equal points stays below with 95 % probability, a fraction.
        deviation: Of the normal distribution that stays below the floor as often, a fraction; less where more was seen.
        pairs: Utterances that were measured twice.
    """

    floor: float
    deviation: float
    pairs: int


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """The two measurements of the A/A pair.

    Args:
        latency_s: Shape (2, n_pairs), as the array below.
        peak_memory_bytes: NaN where it was not watched.
    """

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
        f"SELECT latency_s, twin_latency_s, {peak}, twin_peak FROM measurements JOIN twins "
        f"ON measurements.point = twins.point AND utterance_index = place AND {seed} = twin_seed "
        "SEMI JOIN shared USING (utterance_index) WHERE error IS NULL AND latency_s > 0 AND twin_latency_s > 0 "
        "ORDER BY utterance_index, measurements.point, twin_seed"
    ).fetchall()
    values = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    return estimate_noise(Twins(values[:2], values[2:]))


def estimate_noise(twins: Twins, seed: int = 0) -> dict[str, Noise]:
    """Return the noise of every cost that a pair tells of; of times only where it has two utterances or more.

    Args:
        twins: The pair.
        seed: Of the exchanges.
    """
    n_pairs = twins.latency_s.shape[1]
    found: dict[str, Noise] = {}
    if n_pairs >= 2:
        first, second = twins.latency_s
        total = float(first.sum() + second.sum()) / 2
        squares = (second - first) ** 2
        carriers = squares.sum() ** 2 / (squares**2).sum() if squares.any() else n_pairs
        found["rtf"] = _noise(
            np.sqrt(squares.sum()) / total, abs(float((second - first).sum())) / total, carriers, n_pairs
        )
        exchanged = np.random.default_rng((seed, 5)).integers(0, 2, size=(_EXCHANGES, 1, n_pairs)).astype(np.bool_)
        ordered = np.sort(np.where(exchanged, twins.latency_s[::-1], twins.latency_s), axis=-1)
        measured = np.sort(twins.latency_s, axis=-1)
        for name, share in QUANTILES.items():
            error = np.sqrt(share * (1 - share) / n_pairs)
            near = np.mean([np.mean(_quantiles_apart(ordered, share + step * error) ** 2) for step in _NEAR])
            seen = float(np.abs(_quantiles_apart(measured, share)))
            found[name] = _noise(np.sqrt(near), seen, 3 * n_pairs * error, n_pairs)  # the utterances that are near
    if (memory := _memory_noise(twins.peak_memory_bytes)) is not None:
        found["peak_memory_bytes"] = memory
    return found


def _quantiles_apart(ordered: FloatArray, share: float) -> FloatArray:
    """Relative difference of the two's quantiles, from shape (..., 2, n_pairs) in ascending order."""
    n_pairs = ordered.shape[-1]
    index = int(np.clip(np.ceil(share * n_pairs - 1e-9) - 1, 0, n_pairs - 1))
    return _apart(np.moveaxis(ordered[..., index], -1, 0))


def _apart(pair: FloatArray) -> FloatArray:
    """The second minus the first over their mean."""
    return np.asarray(2 * (pair[1] - pair[0]) / (pair[0] + pair[1]))


def _noise(deviation: float, seen: float, freedom: float, n_pairs: int) -> Noise:
    reach = [quantile for least, quantile in _STUDENT.items() if freedom * (1 + 1e-9) >= least]
    bound = float((reach[-1] if reach else _STUDENT[1]) * deviation)
    return Noise(max(seen, bound), bound / _NORMAL, n_pairs)


def _memory_noise(peaks: FloatArray) -> Noise | None:
    watched = peaks[:, ~np.isnan(peaks).any(axis=0)]
    if not watched.shape[1]:
        return None
    apart = float(np.abs(_apart(watched)).max())
    floor = max(apart, MEMORY_RESOLUTION)
    return Noise(floor, floor / _NORMAL, watched.shape[1])


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


def noise_notes(noise: Mapping[str, Noise], costs: Sequence[Objective]) -> tuple[str, ...]:
    """Say below which difference costs are not told apart; nothing where none of them holds noise.

    Args:
        noise: Of a run's samples.
        costs: Those that are compared.
    """
    noisy = [cost for cost in costs if noise_floor(noise, cost.name) != 0]
    known = [cost for cost in noisy if cost.name in noise]
    told = [f"{cost.title} {100 * noise[cost.name].floor:.1f} %" for cost in known]
    pairs = max((noise[cost.name].pairs for cost in known), default=0)
    lines = []
    if told:
        lines.append(
            f"Noise floor, from one point measured twice on {pairs} utterance{'s' if pairs > 1 else ''}: "
            f"{', '.join(told)}; costs nearer to each other than that are not told apart."
        )
    if unknown := [cost.title for cost in noisy if cost.name not in noise]:
        lines.append(
            f"The noise floor of {' and '.join(unknown)} is unknown, since this run measured no point twice: a small "
            "difference may be the machine's."
        )
    return tuple(lines)


def resample_time(
    latency_s: FloatArray, duration_s: FloatArray, name: str, noise: Mapping[str, Noise], resample: Resample
) -> Replicates:
    """Return a cost of time in every replicate, which draws speakers and, as far as it is known, the machine's noise.

    Every point's replicates are multiplied by noise of their own; in one replicate it is the same for every cost. A
    point alone has half of the variance that a difference of two has.

    Args:
        latency_s: Seconds, shape (n_points, n_utterances).
        duration_s: Seconds of audio, shape (n_utterances,).
        name: One of :data:`TIMED`.
        noise: Of the run's samples.
        resample: From :func:`allophone.measure.blocks.draw_blocks`.

    Raises:
        SpaceError: A 99th percentile of fewer than 400 utterances.
    """
    if name == "latency_p99_s" and latency_s.shape[1] < LEAST_FOR_P99:
        raise SpaceError(
            f"how sure a 99th percentile is cannot be said of {latency_s.shape[1]} utterances: it takes "
            f"{LEAST_FOR_P99}. Measure more, take it as measured, or use latency_p95_s."
        )
    if name == "rtf":
        found = resample_ratio(latency_s, duration_s, resample)
    else:
        found = resample_quantile(latency_s, QUANTILES[name], resample)
    return with_noise(found, noise.get(name))


def with_noise(found: Replicates, known: Noise | None) -> Replicates:
    """Let replicates hold the machine's noise.

    Args:
        found: Of a rate or of something that never varies.
        known: Of that cost; None where it is unknown, which leaves the replicates as they are.
    """
    if known is None or known.deviation == 0:
        return found
    resample = found.resample
    deviation = known.deviation / np.sqrt(2)
    noisy = deviation * np.random.default_rng((resample.seed, 4)).standard_normal(found.values.shape)
    values = found.values * np.exp(noisy)
    stretched = None if found.stretched is None else found.stretched * np.exp(noisy)
    if found.pivots is None or found.standard_errors is None:
        return replace(found, values=values, stretched=stretched)
    # Times are rates, so their pivots are log(replicate / estimate) over the replicate's relative standard error.
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(found.values / found.estimates)
        relative = found.standard_errors / found.estimates
        errors = np.where(logs == 0, relative, logs / found.pivots)
        pivots = (logs + noisy) / np.hypot(errors, deviation)
    return replace(found, values=values, standard_errors=found.estimates * np.hypot(relative, deviation), pivots=pivots)
