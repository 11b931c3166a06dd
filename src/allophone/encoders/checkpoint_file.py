"""Checkpoints of trainings as torch files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allophone.errors import LedgerError
from allophone.files import whole_file

__all__ = ["load_fields", "save_fields"]


def save_fields(path: Path, fields: dict[str, Any]) -> None:
    """Write tensors and plain values in place of what was there.

    Raises:
        LedgerError: The folder cannot be written.
    """
    import torch

    with whole_file(path) as partial:
        try:
            torch.save(fields, partial)
        except RuntimeError as error:  # torch reports a full disk so
            raise OSError(str(error).partition("\n")[0]) from None


def load_fields(path: Path) -> dict[str, Any] | None:
    """Read what :func:`save_fields` wrote, on the CPU; None where there is no file.

    Raises:
        LedgerError: The file is damaged.
    """
    import torch

    if not path.is_file():
        return None
    try:
        fields: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling damaged bytes raises nearly anything
        reason = str(error).partition("\n")[0]
        raise LedgerError(f"{path}: cannot be read (damaged: {reason}). Remove it to begin again.") from None
    return fields
