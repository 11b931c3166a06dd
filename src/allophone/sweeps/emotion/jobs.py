"""Training job of an emotion sweep: a point trained in one fold with one seed, its test rows in the ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Literal

from allophone.corpora.corpus import Corpus
from allophone.corpora.splits import SplitFile
from allophone.emotion.checkpoint import Epoch
from allophone.emotion.experiment import EmotionRun, run_setting
from allophone.emotion.recipe import Precision, Recipe
from allophone.ledger.ledger import Ledger
from allophone.ledger.trained_units import TrainedUnit, add_unit
from allophone.ledger.twin_record import TwinRow, add_twins, read_twins
from allophone.records.measurement import EmotionMeasurement
from allophone.records.point import EmotionSetting
from allophone.records.utterance import Utterance
from allophone.sweeps.idle import load_average

__all__ = ["JobRunner", "TrainingJob", "unit_rows"]

WORK = "work"  # checkpoints of trainings in flight


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What is trained next."""

    setting: EmotionSetting
    fold: str
    seed: int

    @property
    def key(self) -> tuple[str, str, int]:
        """Point, fold and seed."""
        return (self.setting.name, self.fold, self.seed)

    @property
    def name(self) -> str:
        """Safe as a folder's name."""
        return f"{self.setting.name}-{self.fold}-seed{self.seed}"


@dataclass(slots=True)
class JobRunner:
    """Trains units of one run and writes them down.

    A unit's rows are written first, then its line in ``units.jsonl``, then its checkpoint goes: whatever a kill cuts
    short is trained on from the checkpoint, and rows that are there already are not written again. The first point that
    is tested has its clips timed twice, for the noise floor; their second times are written before its rows.

    Args:
        corpus: The corpus.
        utterances: The same, in its order.
        durations_s: Length of every recording, by utterance id; 0 where it cannot be read.
        splits: Who trains and is tested.
        recipes: How each point is trained, by name.
        precision: Of the encoder's products, as asked for.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads; 0 leaves torch's own choice.
        ledger: Takes the rows.
        units: What is trained, by point, fold and seed; grows.
    """

    corpus: Corpus
    utterances: Sequence[Utterance]
    durations_s: Mapping[str, float]
    splits: SplitFile
    recipes: Mapping[str, Recipe]
    precision: Precision | Literal["auto"]
    device: str
    threads: int
    ledger: Ledger
    units: dict[tuple[str, str, int], TrainedUnit]
    _places: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Number the utterances."""
        self._places = {utterance.id: index for index, utterance in enumerate(self.utterances)}

    def is_done(self, unit: TrainingJob) -> bool:
        """Whether a unit is written down whole; what it left in the way then goes."""
        tested = self.splits.split(unit.fold).select(self.utterances, "test")
        done = unit.key in self.units and all(
            self.ledger.is_done(unit.setting.name, self._places[utterance.id], unit.seed) for utterance in tested
        )
        if done:  # a kill may have come before its checkpoint was removed
            shutil.rmtree(self._folder(unit), ignore_errors=True)
        return done

    def run(self, unit: TrainingJob, on_epoch: Callable[[Epoch], None]) -> TrainedUnit:
        """Train a unit, or go on with it, and write it down.

        Raises:
            AllophoneError: As :func:`allophone.emotion.experiment.run_setting`; finished epochs are kept.
        """
        folder = self._folder(unit)
        started = monotonic()
        twinned = read_twins(self.ledger.folder)
        twice = unit.setting.name in {point for point, *_ in twinned} if twinned else True
        found = run_setting(
            unit.setting,
            self.corpus,
            self.splits,
            unit.fold,
            recipe=self.recipes[unit.setting.name].model_copy(update={"seed": unit.seed}),
            precision=self._precision(unit.setting.model),
            out=folder,
            device=self.device,
            threads=self.threads,
            timed_twice=twice,
            on_epoch=on_epoch,
        )
        if twice:
            self._add_twins(unit, found, twinned)
        self.ledger.append(unit_rows(unit, found, self._places, self.durations_s))
        trained = _trained(unit, found, monotonic() - started)
        add_unit(self.ledger.folder, trained)
        self.units[unit.key] = trained
        shutil.rmtree(folder, ignore_errors=True)
        return trained

    def _add_twins(self, unit: TrainingJob, found: EmotionRun, there: Container[tuple[str, int, int]]) -> None:
        load = load_average()
        rows = [
            TwinRow(unit.setting.name, self._places[row.utterance_id], *row.again, load, None, unit.seed)
            for row in found.rows
            if row.again is not None
        ]
        add_twins(self.ledger.folder, [row for row in rows if row.key not in there])

    def _folder(self, unit: TrainingJob) -> Path:
        return self.ledger.folder / WORK / unit.name

    def _precision(self, model: str) -> Precision | Literal["auto"]:
        """What was measured once for an encoder holds for all its units."""
        settings = {setting.name: setting for setting in self.ledger.run.points}
        for unit in self.units.values():
            if unit.point in settings and settings[unit.point].model == model:
                return "bfloat16" if unit.precision == "bfloat16" else "float32"
        return self.precision


def unit_rows(
    unit: TrainingJob, found: EmotionRun, indices: Mapping[str, int], durations_s: Mapping[str, float]
) -> list[EmotionMeasurement]:
    """Return the ledger rows of a unit, one a test utterance.

    Args:
        unit: What was trained.
        found: How it went.
        indices: Place of every utterance in the corpus, by id.
        durations_s: Length of every recording in seconds, by id.
    """
    labels, load = found.record.labels, load_average()
    return [
        EmotionMeasurement(
            point=unit.setting.name,
            utterance_index=indices[row.utterance_id],
            utterance_id=row.utterance_id,
            speaker=row.speaker,
            label=row.label,
            predicted=labels[max(range(len(labels)), key=row.posterior.__getitem__)] if row.posterior else None,
            correct=row.correct,
            posterior=list(row.posterior),
            fold=unit.fold,
            seed=unit.seed,
            duration_s=durations_s[row.utterance_id],
            heard_s=row.heard_s,
            latency_s=row.latency_s,
            executed_flops=row.executed_flops,
            error=row.error,
            cpu_s=row.cpu_s,
            load_average=load,
            threads=found.record.threads,
        )
        for row in found.rows
    ]


def _trained(unit: TrainingJob, found: EmotionRun, wall_s: float) -> TrainedUnit:
    record = found.record
    return TrainedUnit(
        point=unit.setting.name,
        fold=unit.fold,
        seed=unit.seed,
        trainable_params=record.trainable_params,
        training_flops=record.training_flops,
        frozen_flops=record.frozen_flops,
        train_s=record.train_s,
        states_s=record.states_s,
        wall_s=wall_s,
        epochs=len(record.validation_uars),
        best_epoch=record.best_epoch,
        validation_uar=record.validation_uars[record.best_epoch - 1],
        temperature=record.temperature,
        precision=record.precision,
        base_weights_sha256=record.base_weights_sha256,
        n_train=record.n_train,
        stopped=record.stopped,
        failed=record.failed,
    )
