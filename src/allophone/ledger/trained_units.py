"""``units.jsonl``: what every training of an emotion run cost, one line per point, fold and seed.

A line is written once its rows are in the ledger, so a unit that has one is never trained again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from allophone.ledger.record_lines import append_records, read_records

__all__ = ["UNITS_FILE", "TrainedUnit", "add_unit", "read_units"]

UNITS_FILE = "units.jsonl"

_REMEDY = "Restore it, or sweep into a new folder."


@dataclass(frozen=True, slots=True)
class TrainedUnit:
    """One training.

    Args:
        point: Name of the point.
        fold: Name of the split.
        seed: Of initial weights and order.
        trainable_params: Parameters that were trained.
        training_flops: Executed FLOPs of all optimizer steps.
        frozen_flops: Executed FLOPs below the trained layers: once, where no earlier unit left their states.
        train_s: Seconds in optimizer steps.
        states_s: Seconds until the frozen layers' states were there.
        wall_s: Seconds of the whole unit in the sitting that finished it.
        epochs: Epochs trained.
        best_epoch: The one that was kept.
        validation_uar: Of that epoch, on the validation speakers.
        temperature: That calibrates the probabilities.
        precision: Of the encoder's products.
        base_weights_sha256: Digest of the encoder's weights before training.
        n_train: Training utterances.
        stopped: Why training ended.
        failed: Whether it ended because of a loss that is no number.
    """

    point: str
    fold: str
    seed: int
    trainable_params: int
    training_flops: int
    frozen_flops: int
    train_s: float
    states_s: float
    wall_s: float
    epochs: int
    best_epoch: int
    validation_uar: float
    temperature: float
    precision: str
    base_weights_sha256: str
    n_train: int
    stopped: str
    failed: bool

    @property
    def key(self) -> tuple[str, str, int]:
        """Point, fold and seed."""
        return (self.point, self.fold, self.seed)


def add_unit(folder: Path, unit: TrainedUnit) -> None:
    """Append a unit to a run's file.

    Raises:
        LedgerError: The folder cannot be written.
    """
    append_records(folder / UNITS_FILE, [unit])


def read_units(folder: Path) -> dict[tuple[str, str, int], TrainedUnit]:
    """Read a run's units by point, fold and seed; none where nothing is trained yet.

    A last line that a kill cut short is no unit yet.

    Raises:
        LedgerError: The file cannot be read, or a line is damaged.
    """
    return {unit.key: unit for unit in read_records(folder / UNITS_FILE, TrainedUnit, _REMEDY)}
