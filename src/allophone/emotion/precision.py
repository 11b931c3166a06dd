"""Whether bfloat16 is faster here: one layer, timed in both number formats."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

from allophone.emotion.recipe import Precision
from allophone.encoders.layers import run_layers, width
from allophone.encoders.loading import SpeechEncoder

__all__ = ["faster_precision"]

_BATCH, _TOKENS = 8, 128
_REPEATS = 5
_WORTHWHILE = 1.2  # a smaller gain is noise, or not worth the lost digits


def faster_precision(encoder: SpeechEncoder) -> Precision:
    """Return ``bfloat16`` where a layer runs at least 1.2 times as fast under autocast as in float32.

    It is so on processors with matrix tiles for bfloat16 (AMX) and on GPUs; elsewhere autocast only adds conversions.

    Args:
        encoder: The encoder, on the device that it will run on.
    """
    import torch

    device = next(encoder.module.parameters()).device
    hidden = torch.randn(_BATCH, _TOKENS, width(encoder), generator=torch.Generator().manual_seed(0)).to(device)

    def layer(halved: bool) -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=halved):
            run_layers(encoder, hidden, None, 0, 1)
        if device.type == "cuda":
            torch.cuda.synchronize()

    full_s, half_s = _median_s(lambda: layer(False), lambda: layer(True))
    return "bfloat16" if full_s >= _WORTHWHILE * half_s else "float32"


def _median_s(*works: Callable[[], None]) -> list[float]:
    # In turns: whatever else the machine does then slows both.
    taken: list[list[float]] = [[] for _ in works]
    for turn in range(_REPEATS + 1):
        for place, work in enumerate(works):
            started = perf_counter()
            work()
            if turn:
                taken[place].append(perf_counter() - started)
    return [median(times) for times in taken]
