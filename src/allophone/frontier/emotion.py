"""Runs of emotion recognition: their samples, the row of a point, and what a reader of the run must know."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from allophone.arrays import FloatArray, IntArray
from allophone.frontier.run_state import RunState, count_shared, progress_notices
from allophone.frontier.samples import Samples
from allophone.frontier.summary import PointSummary, RunSummary
from allophone.ledger.run_record import EmotionRunRecord, RunRecord
from allophone.ledger.trained_units import TrainedUnit, read_units
from allophone.measure.blocks import Resample
from allophone.measure.bootstrap import Replicates
from allophone.measure.classification import ConfusionCounts, resample_uar
from allophone.records.point import EmotionSetting, Task

if TYPE_CHECKING:
    import duckdb

__all__ = ["EmotionPointSummary", "EmotionReader", "EmotionRunSummary", "EmotionSamples", "TrainingCosts"]


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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EmotionSamples(Samples):
    """Classes recognised and costs per point and utterance, the mean over the seeds that all points share.

    Fields as of :class:`allophone.frontier.samples.Samples`, and these.

    Args:
        labels: The classes.
        classes: Reference class of every utterance, shape (n_utterances,).
        hits: Share of seeds in which the utterance was recognised, shape (n_points, n_utterances).
        confusion: How often reference ``i`` was taken for ``j``, over all seeds, shape (n_points, n_classes,
            n_classes).
        training: One per point.
    """

    task: ClassVar[Task] = "emotion"
    quality: ClassVar[str] = "uar_loss"

    labels: tuple[str, ...]
    classes: IntArray
    hits: FloatArray
    confusion: IntArray
    training: tuple[TrainingCosts, ...]

    def equal(self, one: int, other: int) -> bool:
        """Whether two points recognise the same utterances."""
        return bool(np.array_equal(self.hits[one], self.hits[other]))

    @property
    def weight(self) -> float:
        """How many decisions a point's quality rests on: the utterances."""
        return float(len(self.utterances))

    def _resample_own(self, name: str, draws: Resample) -> Replicates | None:
        if name == "uar_loss":
            found = resample_uar(self.hits, self.classes, draws)
            return Replicates(draws, 1 - found.estimates, 1 - found.values, most=1.0)
        if name in {"trainable_params", "training_gflops", "train_s"}:
            values = np.array([getattr(item, name) for item in self.training])
            return Replicates(draws, values, np.broadcast_to(values, (draws.n_replicates, len(values))))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmotionPointSummary(PointSummary):
    """What one point did over the shared utterances, each tested by recognisers trained on other speakers.

    Rates are fractions, times seconds. ``uar`` is the mean recall of the classes, seeds averaged utterance by
    utterance, and ``uar_loss`` one minus that; ``recalls`` holds None for a label without an utterance. ``rtf`` is the
    latency sum over the audio sum. ``trainable_params``, ``training_gflops`` and ``train_s`` are means over trainings.

    Args:
        confusion: ``confusion[i][j]`` counts references ``i`` taken for ``j``, over all seeds.
    """

    task: ClassVar[Task] = "emotion"

    point: EmotionSetting
    uar: float
    uar_loss: float
    wa: float
    macro_f1: float
    recalls: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    trainable_params: float
    training_gflops: float
    train_s: float


@dataclass(frozen=True, slots=True, repr=False)
class EmotionRunSummary(RunSummary):
    """A run of emotion recognition, summarised; fields as of :class:`allophone.frontier.summary.RunSummary`."""

    task: ClassVar[Task] = "emotion"
    record: ClassVar[type[RunRecord]] = EmotionRunRecord

    run: EmotionRunRecord
    points: tuple[EmotionPointSummary, ...]
    samples: EmotionSamples


_SHARED = "FROM measurements SEMI JOIN shared USING (utterance_index, seed) WHERE point = ?"
_VALUES = f"""
SELECT avg(correct::DOUBLE) AS hits, avg(latency_s) AS latency_s, avg(executed_flops) AS executed_flops
{_SHARED} GROUP BY utterance_index ORDER BY utterance_index
"""
_COMMON = f"""
SELECT min(utterance_id), min(speaker), min(label), max(duration_s)
{_SHARED} GROUP BY utterance_index ORDER BY utterance_index
"""
_CONFUSION = f"SELECT label, predicted, count(*) {_SHARED} GROUP BY label, predicted"


class EmotionReader:
    """What summarising a run of emotion recognition adds to :func:`allophone.frontier.summarise.summarise_run`.

    Args:
        folder: The run folder.
        run: Its record.
    """

    def __init__(self, folder: Path, run: EmotionRunRecord) -> None:
        self.run = run
        self._units = list(read_units(folder).values())

    @property
    def counted(self) -> Collection[str]:
        """The only points that count: those of which a training is finished."""
        return {unit.point for unit in self._units}

    def read_samples(self, connection: duckdb.DuckDBPyConnection, names: tuple[str, ...]) -> EmotionSamples:
        """Read the samples of the points named, all of them measured on every shared utterance."""
        labels = self.run.labels
        number = {label: index for index, label in enumerate(labels)}
        arrays: dict[str, list[FloatArray]] = {"hits": [], "latency_s": [], "executed_flops": []}
        confusion = np.zeros((len(names), len(labels), len(labels)), dtype=np.int64)
        for index, point in enumerate(names):
            found = connection.execute(_VALUES, [point]).fetchnumpy()
            for name, rows in arrays.items():
                rows.append(np.ma.filled(np.ma.asarray(found[name], dtype=np.float64), np.nan))
            for label, predicted, count in connection.execute(_CONFUSION, [point]).fetchall():
                confusion[index, number[label], number[predicted]] = count
        common = connection.execute(_COMMON, [names[0]]).fetchall()
        return EmotionSamples(
            points=names,
            utterances=tuple(str(row[0]) for row in common),
            speakers=tuple(row[1] for row in common),
            labels=labels,
            classes=np.array([number[row[2]] for row in common], dtype=np.int64),
            duration_s=np.array([row[3] for row in common], dtype=np.float64),
            confusion=confusion,
            training=tuple(_costs([unit for unit in self._units if unit.point == name]) for name in names),
            **{name: np.array(rows) for name, rows in arrays.items()},  # type: ignore[arg-type]
        )

    def summarise_points(
        self, connection: duckdb.DuckDBPyConnection, settings: Sequence[EmotionSetting], samples: EmotionSamples
    ) -> tuple[EmotionPointSummary, ...]:
        """Return a row per point, in the samples' order."""
        del connection
        return tuple(_summarise_point(setting, samples, index) for index, setting in enumerate(settings))

    def list_notices(self, connection: duckdb.DuckDBPyConnection, state: RunState) -> list[str]:
        """Say how points were trained and tested, and how far the run is."""
        run = self.run
        tested = run.n_tested - state.n_failed  # the others are named apart
        share = "all of its" if tested == run.n_utterances else f"{tested} of its {run.n_utterances}"
        times, plural = len(run.folds) * len(run.seeds), "s" if len(run.seeds) > 1 else ""
        verb = "is" if sum(state.rows.values()) >= state.n_points * run.n_rows else "will be"
        notices = [
            f"Every point {verb} trained {times} times ({len(run.folds)} folds, {len(run.seeds)} seed{plural}) and "
            f"tested on speakers that the training never heard: {share} utterances."
        ]
        if state.n_given_up:
            notices.append(
                f"The race gave {state.n_given_up} of {state.n_points + state.n_given_up} points up after a fold."
            )
        notices += progress_notices(state, run.n_rows, run.n_tested, done_with="used")
        if (seeds := count_shared(connection, "seed")) < len(run.seeds):
            notices.append(f"Points are compared on the {seeds} of {len(run.seeds)} seeds that all of them have.")
        return notices


def _costs(units: list[TrainedUnit]) -> TrainingCosts:
    return TrainingCosts(
        trainable_params=mean(unit.trainable_params for unit in units),
        training_gflops=mean(unit.training_flops for unit in units) / 1e9,
        train_s=mean(unit.train_s for unit in units),
    )


def _summarise_point(point: EmotionSetting, samples: EmotionSamples, index: int) -> EmotionPointSummary:
    found = ConfusionCounts(samples.labels, samples.confusion[index])
    latency, audio_s = samples.latency_s[index], float(samples.duration_s.sum())
    recalls = [float(samples.hits[index][samples.classes == c].mean()) for c in np.unique(samples.classes)]
    uar, training = float(np.mean(recalls)), samples.training[index]
    p50, p95, p99 = (float(np.quantile(latency, share, method="inverted_cdf")) for share in (0.5, 0.95, 0.99))
    return EmotionPointSummary(
        point=point,
        n_utterances=len(samples.utterances),
        audio_s=audio_s,
        uar=uar,
        uar_loss=1 - uar,
        wa=found.wa,
        macro_f1=found.macro_f1,
        recalls=tuple(None if isnan(recall) else recall for recall in found.recalls.tolist()),
        confusion=tuple(tuple(line) for line in found.confusion.tolist()),
        rtf=float(latency.sum()) / audio_s if audio_s else nan,
        latency_mean_s=float(latency.mean()),
        latency_p50_s=p50,
        latency_p95_s=p95,
        latency_p99_s=p99,
        executed_gflops=float(samples.executed_flops[index].mean()) / 1e9,
        trainable_params=training.trainable_params,
        training_gflops=training.training_gflops,
        train_s=training.train_s,
    )
