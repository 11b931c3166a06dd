"""Arithmetic that gives the same bits on every machine, for the network of the demo voice.

A sum of floats depends on its order, and the order depends on the library, the processor and the thread count. Here a
matrix product is a sum of integers that its float type holds exactly, other sums have one fixed order, and everything
else is elementwise ``+ - * /`` and ``sqrt``, which IEEE 754 rounds in one way only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

__all__ = ["exact_exp", "exact_matmul", "gelu", "layer_norm", "onnx_tensors", "quantised_linear", "row_sum", "shifts"]

_GELU_STEPS = 512  # table entries per unit; the result is rounded to 8 bits right after
_GELU_REACH = 6  # beyond it GELU is the identity or 0, to 1e-8
_SUM_BITS = 52  # bits that float64 adds without rounding
_EXACT_TERMS = 512  # products of 8-bit integers whose sum float32 holds: 512 * 255 * 128 < 2**24
_LN_EPSILON = 1e-5


def quantised_linear(x: Array, weight: Array, weight_scale: Array, bias: Array) -> Array:
    """Return ``x @ weight + bias`` as ONNX's DynamicQuantizeLinear and MatMulInteger define it.

    Args:
        x: Shape ``(n, n_in)``; its range is divided into 255 steps.
        weight: Shape ``(n_in, n_out)``: integers in [-128, 127], held as float32.
        weight_scale: What one step of ``weight`` stands for.
        bias: Shape ``(n_out,)``.
    """
    import numpy as np

    low, high = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
    scale = (high - low) / np.float32(255)
    zero = np.rint(-low / scale)
    steps = x / scale
    np.rint(steps, out=steps)
    np.clip(steps, -zero, np.float32(255) - zero, out=steps)
    y: Array = steps[:, :_EXACT_TERMS] @ weight[:_EXACT_TERMS]
    for start in range(_EXACT_TERMS, len(weight), _EXACT_TERMS):
        y += steps[:, start : start + _EXACT_TERMS] @ weight[start : start + _EXACT_TERMS]
    y *= scale * weight_scale
    y += bias
    return y


def gelu(x: Array) -> Array:
    """Return ``max(x, 0) - |x| * Phi(-|x|)``, Phi the normal distribution; the second term comes from a table."""
    import numpy as np

    table = _gelu_table()
    position = np.abs(x)
    position *= np.float32(_GELU_STEPS)
    position += np.float32(0.5)
    np.minimum(position, np.float32(len(table) - 1), out=position)
    y: Array = table.take(position.astype(np.int32))
    y += np.maximum(x, np.float32(0))
    return y


@lru_cache(maxsize=1)
def _gelu_table() -> Array:
    import numpy as np

    magnitudes = [i / _GELU_STEPS for i in range(_GELU_REACH * _GELU_STEPS + 1)]
    return np.array([-0.5 * x * math.erfc(x / math.sqrt(2)) for x in magnitudes], np.float32)


def shifts(x: Array, n_taps: int, dilation: int) -> Iterator[Array]:
    """Yield ``x`` (n, n_state) as each tap of a centred convolution sees it, zeros beyond the ends."""
    import numpy as np

    reach = (n_taps - 1) // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    for tap in range(n_taps):
        yield padded[tap * dilation : tap * dilation + len(x)]


def row_sum(x: NDArray[Any]) -> NDArray[Any]:
    """Sum over the last axis in one fixed order, which ``np.sum`` does not promise: halves, then what is odd."""
    while x.shape[-1] % 2 == 0:
        half = x.shape[-1] // 2
        x = x[..., :half] + x[..., half:]
    total = x[..., :1]
    for i in range(1, x.shape[-1]):
        total = total + x[..., i : i + 1]
    return total


def layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    """Return ``x`` (n, n_state) with every row at mean 0 and variance 1, times ``weight``, plus ``bias``."""
    import numpy as np

    n = np.float32(x.shape[-1])
    x = x - row_sum(x) / n
    y: Array = x / np.sqrt(row_sum(x * x) / n + np.float32(_LN_EPSILON)) * weight + bias
    return y


def exact_matmul(a: Array, b: Array) -> Array:
    """Return ``a @ b``, whose every partial sum is an integer of at most 52 bits, so that order changes nothing."""
    import numpy as np

    bits = (_SUM_BITS - math.ceil(math.log2(a.shape[-1]))) // 2
    grid_a, exponent_a = _on_grid(a, bits)
    grid_b, exponent_b = _on_grid(b, bits)
    return np.ldexp(grid_a @ grid_b, exponent_a + exponent_b).astype(np.float32)


def _on_grid(x: Array, bits: int) -> tuple[NDArray[np.float64], int]:
    import numpy as np

    exponent = int(np.frexp(np.abs(x).max())[1]) - bits
    return np.rint(np.ldexp(x.astype(np.float64), -exponent)), exponent


def exact_exp(x: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``exp(x)`` from ``+ - *`` alone, for ``|x| < 700``; libraries differ in the last bit of theirs."""
    import numpy as np

    x = x.astype(np.float64)
    halvings = np.rint(x * 1.4426950408889634)  # log2(e)
    rest = x - halvings * 0.6931471803691238 - halvings * 1.9082149292705877e-10  # ln 2 in two parts
    y = np.full_like(rest, 1.0 / math.factorial(12))
    for order in range(11, -1, -1):
        y = y * rest + 1.0 / math.factorial(order)
    return np.ldexp(y, halvings.astype(np.int32))


def onnx_tensors(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield name and value of every float32 and int8 tensor in an ONNX file (fields of ``onnx.proto``)."""
    import numpy as np

    model = dict(_protobuf_fields(memoryview(path.read_bytes())))
    for field, tensor in _protobuf_fields(model[7]):  # ModelProto.graph
        if field != 5:  # GraphProto.initializer
            continue
        shape: list[int] = []
        parts: dict[int, Any] = {}
        for key, value in _protobuf_fields(tensor):
            shape.extend([value] if key == 1 else [])
            parts[key] = value
        data = parts.get(9, parts.get(4))  # raw_data, float_data
        kind = {1: "<f4", 3: "i1"}.get(parts[2])
        if data is not None and kind is not None:
            yield bytes(parts[8]).decode(), np.frombuffer(data, kind).reshape(shape)


def _protobuf_fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    # Wire types 0 (varint), 2 (length and bytes), 1 and 5 (8 and 4 bytes).
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(key & 7) or varint()
        yield key >> 3, message[at : at + size]
        at += size
