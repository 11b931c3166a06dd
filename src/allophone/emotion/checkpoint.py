"""Training checkpoint: all that a killed training needs to go on, written whole after every epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from allophone.encoders.checkpoint_file import load_fields, save_fields
from allophone.errors import UsageError

__all__ = ["CHECKPOINT", "Epoch", "Progress", "read_checkpoint", "write_checkpoint"]

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training clips.

    Args:
        number: From 1.
        loss: Mean cross-entropy of the epoch's steps, nats.
        validation_uar: UAR on the validation speakers afterwards.
        steps: Optimizer steps.
        train_s: Seconds in those steps, reading states included.
        clips_of_tokens: How many clips ran at which padded length in audio tokens, as pairs.
    """

    number: int
    loss: float
    validation_uar: float
    steps: int
    train_s: float
    clips_of_tokens: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Progress:
    """How far a training has come.

    Args:
        epochs: Finished epochs.
        best_epoch: The one whose parameters are kept; 0 before any.
        best: Its trained parameters and the head's fixed numbers, tensors by name.
        stopped: Why training ended, or None while it goes on.
        failed: Whether it ended because of a loss that is no number.
    """

    epochs: list[Epoch]
    best_epoch: int
    best: dict[str, Any]
    stopped: str | None = None
    failed: bool = False

    @property
    def best_uar(self) -> float:
        """UAR of the best epoch on the validation speakers, below 0 before any."""
        return self.epochs[self.best_epoch - 1].validation_uar if self.best_epoch else -1.0


def write_checkpoint(path: Path, key: str, progress: Progress, last: dict[str, Any], optimizer: dict[str, Any]) -> None:
    """Write a checkpoint.

    Args:
        path: The file; what was there is replaced once the new one is whole.
        key: Names the job: what it trains, on what, how.
        progress: Where it stands.
        last: Trained parameters and fixed numbers after the last epoch.
        optimizer: The optimizer's state after it.

    Raises:
        LedgerError: The folder cannot be written.
    """
    fields = {
        "key": key,
        "epochs": [asdict(epoch) for epoch in progress.epochs],
        "best_epoch": progress.best_epoch,
        "best": progress.best,
        "stopped": progress.stopped,
        "failed": progress.failed,
        "last": last,
        "optimizer": optimizer,
    }
    save_fields(path, fields)


def read_checkpoint(path: Path, key: str) -> tuple[Progress, dict[str, Any], dict[str, Any]] | None:
    """Return progress, last parameters and optimizer state; None where there is no checkpoint.

    Raises:
        LedgerError: The file is damaged.
        UsageError: It belongs to another job.
    """
    fields = load_fields(path)
    if fields is None:
        return None
    if fields["key"] != key:
        raise UsageError(
            f"{path}: belongs to another setting, recipe, corpus, split or base model. Give another folder, or delete "
            "it to train anew."
        )
    epochs = [Epoch(**epoch) for epoch in fields["epochs"]]
    progress = Progress(epochs, fields["best_epoch"], fields["best"], fields["stopped"], fields["failed"])
    return progress, fields["last"], fields["optimizer"]
