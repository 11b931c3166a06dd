"""A cascade over points of an emotion run: the short or small one first, the next where its posterior is unsure.

It is replayed from the ledger through the same routers, curves and judges as speech recognition, with errors in place
of word errors. An error weighs ``N / (C · n_c)`` for a reference of class ``c``, of which there are ``n_c`` among ``N``
rows and ``C`` classes, so that the errors over the weights of all rows are one minus the UAR. Seeds count as rows of
their own.

There are three signs of doubt: one minus the greatest probability, one minus its margin over the second, and the
entropy over its maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from allophone.errors import UsageError
from allophone.frontier.emotion_samples import share_rows
from allophone.ledger.readers import connect
from allophone.ledger.run_record import EmotionRunRecord, read_emotion_run
from allophone.records.point import EmotionSetting
from allophone.routing.routers import Order, Overhead, last_kept
from allophone.routing.samples import FloatArray, IntArray, RouteSamples

__all__ = ["SIGNALS", "EmotionCandidates", "PosteriorRouter", "Signal", "doubt", "read_candidates"]

Signal = Literal["max_probability", "margin", "entropy"]
SIGNALS: tuple[Signal, ...] = ("max_probability", "margin", "entropy")


@dataclass(frozen=True, slots=True, eq=False)
class EmotionCandidates:
    """Candidate points on the rows that all of them have.

    Args:
        samples: As for speech recognition; ``words`` are the weights of the rows, ``errors`` those of the misses.
        hits: Whether each row was recognised, shape (n_points, n_rows).
        posteriors: Shape (n_points, n_rows, n_classes).
    """

    samples: RouteSamples
    hits: FloatArray
    posteriors: FloatArray

    def take(self, places: IntArray) -> EmotionCandidates:
        """Return some rows only."""
        return EmotionCandidates(self.samples.take(places), self.hits[:, places], self.posteriors[:, places])


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorRouter:
    """Climbs where the posterior of the point that ran is in doubt.

    Args:
        signal: What is looked at.
        posteriors: Of the rows that it scores, shape (n_points, n_rows, n_classes).
    """

    signal: Signal
    posteriors: FloatArray

    @property
    def name(self) -> str:
        """Short name for tables."""
        return f"cascade on {self.signal.replace('_', ' ')}"

    @property
    def order(self) -> Order:
        """Whole points in turn."""
        return "cascade"

    @property
    def overhead(self) -> Overhead:
        """Reading a handful of probabilities costs nothing worth counting."""
        return Overhead()

    def scores(self, samples: RouteSamples) -> FloatArray:
        """Return the doubt of every point but the last, shape (n_points - 1, n_rows)."""
        return doubt(self.posteriors[:-1], self.signal)

    def kept(self, samples: RouteSamples) -> IntArray:
        """Keep the decision of the point reached."""
        return last_kept(samples)


def doubt(posteriors: FloatArray, signal: Signal) -> FloatArray:
    """Return how unsure posteriors are, from 0 (certain) to at most 1, over their last axis.

    Args:
        posteriors: Probabilities of the classes, last axis.
        signal: What is looked at.
    """
    if signal == "max_probability":
        return np.asarray(1 - posteriors.max(axis=-1))
    if signal == "margin":
        ranked = np.sort(posteriors, axis=-1)
        return np.asarray(1 - (ranked[..., -1] - ranked[..., -2]))
    logs = np.log(np.maximum(posteriors, np.finfo(np.float64).tiny))
    return np.asarray(-(posteriors * logs).sum(axis=-1) / np.log(posteriors.shape[-1]))


_ROWS = """
SELECT utterance_id, speaker, label, duration_s, correct, executed_flops, latency_s, posterior
FROM measurements SEMI JOIN shared USING (utterance_index, seed) WHERE point = ? ORDER BY seed, utterance_index
"""


def read_candidates(folder: Path, names: Sequence[str]) -> EmotionCandidates:
    """Read the candidate points of an emotion run on the rows that all have.

    Args:
        folder: The run.
        names: Names of two or more points, cheap to dear.

    Raises:
        LedgerError: Not a run, or nothing measured.
        UsageError: A run of speech recognition, an unknown point, no shared row, or points not from cheap to dear.
    """
    run = read_emotion_run(folder)
    points = _find_points(run, folder, names)
    with connect(folder) as connection:
        connection.execute("CREATE TEMP TABLE asked AS SELECT unnest(?) AS name", [[point.name for point in points]])
        share_rows(connection, len(points))
        tables = [connection.execute(_ROWS, [point.name]).fetchall() for point in points]
    if not tables[0]:
        raise UsageError(f"{folder}: no utterance is measured at all of {', '.join(names)} yet. Let its sweep go on.")
    classes = np.array([run.labels.index(row[2]) for row in tables[0]])
    counts = np.bincount(classes, minlength=len(run.labels))
    weights = len(classes) / ((counts > 0).sum() * counts[classes])
    hits, flops, seconds = (np.array([[float(row[k]) for row in table] for table in tables]) for k in (4, 5, 6))
    means = flops.mean(axis=1)
    for place in np.flatnonzero(np.diff(means) <= 0):
        raise UsageError(
            f"{points[place + 1].name} runs no more FLOPs than {points[place].name}: name points from cheap to dear; "
            "adaptation costs nothing at inference, so vary the duration or the encoder."
        )
    samples = RouteSamples(
        points=cast("tuple[Any, ...]", points),
        runs=(folder,),
        domains=np.zeros(len(classes), np.intp),
        utterances=tuple(str(row[0]) for row in tables[0]),
        speakers=tuple(row[1] for row in tables[0]),
        words=weights,
        duration_s=np.array([row[3] for row in tables[0]], np.float64),
        errors=(1 - hits) * weights,
        flops=flops,
        encoder_flops=flops,
        latency_s=seconds,
        before_s=seconds,
        confidence_s=np.zeros_like(seconds),
        readings=cast("tuple[Any, ...]", ((None,) * len(classes),) * len(points)),  # there is no transcript to read
    )
    return EmotionCandidates(samples, hits, np.array([[row[7] for row in table] for table in tables], np.float64))


def _find_points(run: EmotionRunRecord, folder: Path, names: Sequence[str]) -> tuple[EmotionSetting, ...]:
    by_name = {point.name: point for point in run.points}
    for name in names:
        if name not in by_name:
            raise UsageError(f"{folder}: '{name}' is no point of this run. Name some of: {', '.join(by_name)}.")
    if len(set(names)) < max(2, len(names)):
        raise UsageError(f"{', '.join(names) or 'no point'}: a cascade takes two or more different points.")
    return tuple(by_name[name] for name in names)
