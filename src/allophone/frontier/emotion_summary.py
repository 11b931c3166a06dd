"""One row per point of an emotion run, on the utterances that all points share, and runs of either task summarised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan, nan
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from allophone.errors import LedgerError
from allophone.frontier.emotion_samples import EmotionSamples, TrainingCosts, read_emotion_samples, share_rows
from allophone.frontier.noise_floor import read_noise
from allophone.frontier.objectives import Task
from allophone.frontier.run_state import busy_notice, materialise_numbers, progress_notices, select_points
from allophone.frontier.summary import PointSummary, RunSummary, summarise_run
from allophone.ledger.race_record import Elimination, read_race
from allophone.ledger.readers import connect, failed_utterances
from allophone.ledger.run_record import EmotionRunRecord, read_any_run, read_emotion_run
from allophone.ledger.trained_units import TrainedUnit, read_units
from allophone.measure.classification import ConfusionCounts
from allophone.records.point import EmotionSetting

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "AnyPoint",
    "AnySummary",
    "EmotionPointSummary",
    "EmotionRunSummary",
    "summarise_any_run",
    "summarise_emotion",
]


@dataclass(frozen=True, slots=True)
class EmotionPointSummary:
    """What one point did over the shared utterances, each tested by recognisers trained on other speakers.

    Rates are fractions, times seconds. ``uar`` is the mean recall of the classes, seeds averaged utterance by
    utterance, and ``uar_loss`` one minus that; ``recalls`` holds None for a label without an utterance. ``rtf`` is the
    latency sum over the audio sum. ``trainable_params``, ``training_gflops`` and ``train_s`` are means over trainings.

    Args:
        confusion: ``confusion[i][j]`` counts references ``i`` taken for ``j``, over all seeds.
    """

    task: ClassVar[Task] = "emotion"

    point: EmotionSetting
    n_utterances: int
    audio_s: float
    uar: float
    uar_loss: float
    wa: float
    macro_f1: float
    recalls: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    rtf: float
    latency_mean_s: float
    latency_p50_s: float
    latency_p95_s: float
    executed_gflops: float
    trainable_params: float
    training_gflops: float
    train_s: float
    label: str | None = None

    @property
    def name(self) -> str:
        """Id of the point, or the label of what is no single point, such as a policy."""
        return self.label or self.point.name

    @property
    def title(self) -> str:
        """Name of the point for people, or the label."""
        return self.label or self.point.title


@dataclass(frozen=True, slots=True)
class EmotionRunSummary:
    """An emotion run, summarised; fields as of :class:`allophone.frontier.summary.RunSummary`."""

    task: ClassVar[Task] = "emotion"

    run: EmotionRunRecord
    points: tuple[EmotionPointSummary, ...]
    failures: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]
    samples: EmotionSamples
    eliminated: tuple[Elimination, ...] = ()


AnyPoint = PointSummary | EmotionPointSummary
AnySummary = RunSummary | EmotionRunSummary


def summarise_any_run(folder: Path) -> AnySummary:
    """Summarise a run of either task, finished or in progress.

    Raises:
        LedgerError: As :func:`allophone.frontier.summary.summarise_run`.
    """
    if isinstance(read_any_run(folder), EmotionRunRecord):
        return summarise_emotion(folder)
    return summarise_run(folder)


def summarise_emotion(folder: Path) -> EmotionRunSummary:
    """Summarise an emotion run, finished or in progress.

    Raises:
        LedgerError: The folder is not a run, nothing is measured, or the points share no utterance.
        UsageError: It is a run of speech recognition.
    """
    run = read_emotion_run(folder)
    eliminated = read_race(folder)[1]
    given_up = {item.point for item in eliminated}
    by_name = {point.name: point for point in run.points if point.name not in given_up}
    units = read_units(folder)
    reading = connect(folder)
    with reading as connection:
        materialise_numbers(connection)
        started = select_points(connection, folder, list(by_name), {unit.point for unit in units.values()})
        share_rows(connection, len(started))
        names = tuple(name for name in by_name if name in started)
        shared = _count(connection, "SELECT count(DISTINCT utterance_index) FROM shared")
        if not shared:
            raise LedgerError(f"{folder}: no utterance is measured at every point yet. Let its sweep go on.")
        training = tuple(_training([unit for unit in units.values() if unit.point == name]) for name in names)
        samples = read_emotion_samples(connection, names, run.labels, training)
        samples = replace(samples, noise=read_noise(connection, folder))
        busy = busy_notice(connection)
        seeds = _count(connection, "SELECT count(DISTINCT seed) FROM shared")
        failures = failed_utterances(folder)
        notices = _notices(run, started, len(by_name), len(given_up), shared, seeds, len(failures))
    notices = (*reading.notices, *notices, *([busy] if busy else []))
    points = tuple(_point(by_name[name], samples, index) for index, name in enumerate(names))
    return EmotionRunSummary(run, points, failures, notices, samples, tuple(eliminated))


def _training(units: list[TrainedUnit]) -> TrainingCosts:
    return TrainingCosts(
        trainable_params=mean(unit.trainable_params for unit in units),
        training_gflops=mean(unit.training_flops for unit in units) / 1e9,
        train_s=mean(unit.train_s for unit in units),
    )


def _point(point: EmotionSetting, samples: EmotionSamples, index: int) -> EmotionPointSummary:
    found = ConfusionCounts(samples.labels, samples.confusion[index])
    latency, audio_s = samples.latency_s[index], float(samples.duration_s.sum())
    recalls = [float(samples.hits[index][samples.classes == c].mean()) for c in np.unique(samples.classes)]
    uar, training = float(np.mean(recalls)), samples.training[index]
    p50, p95 = (float(np.quantile(latency, share, method="inverted_cdf")) for share in (0.5, 0.95))
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
        executed_gflops=float(samples.executed_flops[index].mean()) / 1e9,
        trainable_params=training.trainable_params,
        training_gflops=training.training_gflops,
        train_s=training.train_s,
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])


def _notices(
    run: EmotionRunRecord, started: dict[str, int], n_points: int, gone: int, shared: int, seeds: int, failed: int
) -> tuple[str, ...]:
    heard = run.n_tested - failed  # the others are named apart
    tested = "all of its" if heard == run.n_utterances else f"{heard} of its {run.n_utterances}"
    times, plural = len(run.folds) * len(run.seeds), "s" if len(run.seeds) > 1 else ""
    verb = "is" if sum(started.values()) >= n_points * run.n_rows else "will be"
    notices = [
        f"Every point {verb} trained {times} times ({len(run.folds)} folds, {len(run.seeds)} seed{plural}) and tested "
        f"on speakers that the training never heard: {tested} utterances."
    ]
    if gone:
        notices.append(f"The race gave {gone} of {n_points + gone} points up after a fold.")
    notices += progress_notices(
        rows=(sum(started.values()), n_points * run.n_rows),
        points=(len(started), n_points),
        shared=(shared, run.n_tested),
        failed=failed,
        done_with="used",
    )
    if seeds < len(run.seeds):
        notices.append(f"Points are compared on the {seeds} of {len(run.seeds)} seeds that all of them have.")
    return tuple(notices)
