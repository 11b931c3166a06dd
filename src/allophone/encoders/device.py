"""Where torch runs: a device is checked before anything is loaded, trained or written."""

from __future__ import annotations

import re

from allophone.errors import UsageError
from allophone.extras import importing

__all__ = ["check_torch_device"]

_GPU = re.compile(r"cuda(?::(0|[1-9][0-9]*))?")


def check_torch_device(device: str) -> None:
    """Refuse a device that torch does not have here.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:NUMBER``.

    Raises:
        MissingExtraError: The extra ``torch`` is not installed, so that no GPU can be looked for.
        UsageError: Another word, or a GPU that torch does not see.
    """
    if device == "cpu":
        return
    gpu = _GPU.fullmatch(device)
    if gpu is None or int(gpu[1] or 0) >= _gpus():
        raise UsageError(
            f"--device '{device}': emotion recognition runs and trains on cpu, or on cuda where torch sees a GPU."
        )


def _gpus() -> int:
    with importing("torch", "torch"):
        import torch
    return int(torch.cuda.device_count())
