"""Where an adaptation stands: encoder, optimiser, losses so far; written whole or not at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from allophone.encoders.checkpoint_file import load_fields, save_fields
from allophone.errors import LedgerError

__all__ = ["Checkpoint", "Validation", "load_checkpoint", "save_checkpoint"]


@dataclass(frozen=True, slots=True)
class Validation:
    """Losses on the held-out speakers' windows after some steps.

    Args:
        step: Steps taken.
        kl: Nats a token between teacher's and student's next-token distributions.
        hidden: Mean squared error of encoder outputs where there is audio, over the teacher's mean square.
    """

    step: int
    kl: float
    hidden: float


@dataclass(slots=True)
class Checkpoint:
    """What must be known to go on.

    Args:
        step: Steps taken.
        seconds: Wall time spent, all sittings.
        validations: In order.
        train_kl: Nats a token of every step's windows, before the step.
    """

    step: int = 0
    seconds: float = 0.0
    validations: list[Validation] = field(default_factory=list)
    train_kl: list[float] = field(default_factory=list)


def save_checkpoint(path: Path, state: Checkpoint, encoder: Any, optimizer: Any) -> None:
    """Write a checkpoint in place of the last.

    Raises:
        LedgerError: The folder cannot be written.
    """
    save_fields(path, {"state": asdict(state), "encoder": encoder.state_dict(), "optimizer": optimizer.state_dict()})


def load_checkpoint(path: Path, encoder: Any, optimizer: Any) -> Checkpoint:
    """Read a checkpoint into encoder and optimiser; a fresh start where there is none.

    Raises:
        LedgerError: It is damaged.
    """
    fields = load_fields(path)
    if fields is None:
        return Checkpoint()
    try:
        encoder.load_state_dict(fields["encoder"])
        optimizer.load_state_dict(fields["optimizer"])
        state = fields["state"]
        state["validations"] = [Validation(**validation) for validation in state["validations"]]
        return Checkpoint(**state)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:  # a file of another kind, or of another model
        reason = str(error).partition("\n")[0]
        raise LedgerError(f"{path}: cannot be read ({reason}). Remove it to begin again.") from None
