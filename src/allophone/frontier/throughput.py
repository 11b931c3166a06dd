"""Throughput as an objective: wall seconds per second of audio with many recordings at once, lower is better.

It belongs to a sample of recordings taken together, not to single utterances, so replicates draw the rounds of its
measurement: they hold the machine's noise, and nothing of other recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from allophone.arrays import FloatArray
from allophone.errors import SpaceError
from allophone.ledger.throughput_record import read_throughput
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates

__all__ = ["read_rounds", "resample_throughput", "throughput_notice"]


def read_rounds(folder: Path, points: Sequence[str]) -> FloatArray | None:
    """Read every point's measurements in the rounds that all measured points have.

    Args:
        folder: A run.
        points: Names of its points.

    Returns:
        Wall seconds per second of audio, shape (n_points, n_rounds), NaN for points that were not measured; None where
        no round is.

    Raises:
        LedgerError: The run's ``throughput.json`` is damaged.
    """
    record = read_throughput(folder)
    measured = {(one.point, one.round): one.wall_s for one in record.passes} if record is not None else {}
    named = [point for point in points if any(point == name for name, _ in measured)]
    rounds = sorted({turn for _, turn in measured if all((point, turn) in measured for point in named)})
    if record is None or not named or not rounds:
        return None
    seconds = [[measured.get((point, turn), np.nan) for turn in rounds] for point in points]
    return np.array(seconds, dtype=np.float64) / record.audio_s


def throughput_notice(folder: Path) -> str | None:
    """Say on what a run's throughput was measured, or None where it was not.

    Raises:
        LedgerError: The run's ``throughput.json`` is damaged.
    """
    record = read_throughput(folder)
    if record is None or not record.passes:
        return None
    workers = sorted({one.workers for one in record.passes})
    batches = sorted({one.batch_size for one in record.passes})
    rounds = 1 + max(one.round for one in record.passes)
    return (
        f"Throughput: {_counted(len(record.utterances), 'recording')}, {record.audio_s / 60:.1f} min, from files to "
        f"texts; {_span(workers)} at once, batches of {_span(batches)}; median of {_counted(rounds, 'round')}."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def resample_throughput(rounds: FloatArray | None, resample: Resample) -> Replicates:
    """Draw rounds with replacement, the same for every point, and take their median.

    Args:
        rounds: From :func:`read_rounds`.
        resample: Gives number of replicates and seed; its blocks do not matter here.

    Raises:
        SpaceError: No throughput was measured.
    """
    if rounds is None:
        raise SpaceError("this run's throughput is not measured. Run its sweep again with --throughput.")
    n_rounds = rounds.shape[1]
    drawn = np.random.default_rng((resample.seed, 3)).integers(0, n_rounds, size=(resample.n_replicates, n_rounds))
    values = np.median(rounds[:, drawn], axis=-1).T
    return Replicates(resample, np.median(rounds, axis=1), values)


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
