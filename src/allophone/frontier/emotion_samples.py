"""The measurements of an emotion run, utterance by utterance, and every objective resampled from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.errors import SpaceError
from allophone.frontier.noise_floor import TIMED, Noise, resample_time
from allophone.frontier.objectives import Task
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates, resample_mean
from allophone.measure.classification import resample_uar

if TYPE_CHECKING:
    import duckdb

__all__ = ["EmotionSamples", "TrainingCosts", "read_emotion_samples", "resample_emotion", "share_rows"]


@dataclass(frozen=True, slots=True)
class TrainingCosts:
    """What training a point costs, the mean over its folds and seeds.

    Args:
        trainable_params: Parameters that are trained.
        training_gflops: Executed GFLOPs of all optimizer steps; the frozen layers run once for all points that share
            them and are not counted.
        train_s: Seconds in optimizer steps.
    """

    trainable_params: float
    training_gflops: float
    train_s: float


@dataclass(frozen=True, slots=True, eq=False)
class EmotionSamples:
    """One value per point and utterance, on the utterances that all points share; the mean over their shared seeds.

    Args:
        points: Names of the points, in the order of the arrays' rows.
        utterances: Ids of the utterances, in the order of the arrays' columns.
        speakers: Speaker of every utterance, or None.
        labels: The classes.
        classes: Reference class of every utterance, shape (n_utterances,).
        duration_s: Seconds of audio, shape (n_utterances,).
        hits: Share of seeds in which the utterance was recognised, shape (n_points, n_utterances), as the arrays below.
        latency_s: Seconds from samples to the posterior.
        executed_flops: FLOPs of one inference.
        confusion: How often reference ``i`` was taken for ``j``, over all seeds, shape (n_points, n_classes,
            n_classes).
        training: One per point.
        noise: From :func:`allophone.frontier.noise_floor.read_noise`, by cost; without a cost, its noise is unknown.
    """

    task: ClassVar[Task] = "emotion"
    quality: ClassVar[str] = "uar_loss"

    points: tuple[str, ...]
    utterances: tuple[str, ...]
    speakers: tuple[str | None, ...]
    labels: tuple[str, ...]
    classes: IntArray
    duration_s: FloatArray
    hits: FloatArray
    latency_s: FloatArray
    executed_flops: FloatArray
    confusion: IntArray
    training: tuple[TrainingCosts, ...]
    noise: Mapping[str, Noise] = field(default_factory=dict)

    @property
    def noise_floors(self) -> dict[str, float]:
        """Relative difference below which points are not told apart, by cost of which the noise is known."""
        return {name: known.floor for name, known in self.noise.items()}

    def equal(self, one: int, other: int) -> bool:
        """Whether two points recognise the same utterances."""
        return bool(np.array_equal(self.hits[one], self.hits[other]))

    @property
    def weight(self) -> float:
        """How many decisions a point's quality rests on."""
        return float(len(self.utterances))


# A row counts where every asked point has one of the same utterance and seed, without error: comparisons are paired.
_SHARED = """
CREATE TEMP TABLE shared AS
SELECT utterance_index, seed FROM measurements WHERE point IN (SELECT name FROM asked)
GROUP BY utterance_index, seed HAVING count(*) = ? AND count(error) = 0
"""
_VALUES = """
SELECT avg(correct::DOUBLE) AS hits, avg(latency_s) AS latency_s, avg(executed_flops) AS executed_flops
FROM measurements SEMI JOIN shared USING (utterance_index, seed) WHERE point = ?
GROUP BY utterance_index ORDER BY utterance_index
"""
_COMMON = """
SELECT min(utterance_id), min(speaker), min(label), max(duration_s)
FROM measurements SEMI JOIN shared USING (utterance_index, seed) WHERE point = ?
GROUP BY utterance_index ORDER BY utterance_index
"""
_CONFUSION = """
SELECT label, predicted, count(*) FROM measurements SEMI JOIN shared USING (utterance_index, seed) WHERE point = ?
GROUP BY label, predicted
"""


def share_rows(connection: duckdb.DuckDBPyConnection, n_points: int) -> None:
    """Make the table ``shared`` of utterances and seeds measured at all ``n_points`` points named in ``asked``."""
    connection.execute(_SHARED, [n_points])


def read_emotion_samples(
    connection: duckdb.DuckDBPyConnection,
    points: tuple[str, ...],
    labels: tuple[str, ...],
    training: tuple[TrainingCosts, ...],
) -> EmotionSamples:
    """Read the arrays through a connection that holds the view ``measurements`` and the table ``shared``.

    Args:
        connection: As :func:`allophone.frontier.emotion_summary.summarise_emotion` prepares it.
        points: Names of the points, all of them measured on every shared utterance.
        labels: The classes, in the order of their numbers.
        training: What training each point costs.
    """
    number = {label: index for index, label in enumerate(labels)}
    arrays: dict[str, list[FloatArray]] = {"hits": [], "latency_s": [], "executed_flops": []}
    confusion = np.zeros((len(points), len(labels), len(labels)), dtype=np.int64)
    for place, point in enumerate(points):
        found = connection.execute(_VALUES, [point]).fetchnumpy()
        for name, rows in arrays.items():
            rows.append(np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan))
        for label, predicted, count in connection.execute(_CONFUSION, [point]).fetchall():
            confusion[place, number[label], number[predicted]] = count
    common = connection.execute(_COMMON, [points[0]]).fetchall()
    return EmotionSamples(
        points=points,
        utterances=tuple(str(row[0]) for row in common),
        speakers=tuple(row[1] for row in common),
        labels=labels,
        classes=np.array([number[row[2]] for row in common], dtype=np.int64),
        duration_s=np.array([row[3] for row in common], dtype=np.float64),
        confusion=confusion,
        training=training,
        noise={},
        **{name: np.array(rows) for name, rows in arrays.items()},
    )


def resample_emotion(samples: EmotionSamples, name: str, resample: Resample) -> Replicates:
    """Return an objective in every replicate, in base units; quality is one minus the UAR, so that lower is better.

    What a training costs is a property of the point, not of the utterances drawn: it is the same in every replicate.

    Args:
        samples: The measurements.
        name: One of the objectives of emotion recognition.
        resample: From :func:`allophone.measure.blocks.draw_blocks` over the samples' speakers.

    Raises:
        SpaceError: No such objective.
    """
    if name == "uar_loss":
        found = resample_uar(samples.hits, samples.classes, resample)
        return Replicates(resample, 1 - found.estimates, 1 - found.values, most=1.0)
    if name in TIMED:
        return resample_time(samples.latency_s, samples.duration_s, name, samples.noise, resample)
    if name == "executed_gflops":
        return resample_mean(samples.executed_flops / 1e9, resample)
    if name in {"trainable_params", "training_gflops", "train_s"}:
        values = np.array([getattr(item, name) for item in samples.training])
        return Replicates(resample, values, np.broadcast_to(values, (resample.n_replicates, len(values))))
    raise SpaceError(f"objective '{name}' cannot be resampled.")
