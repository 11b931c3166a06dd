"""Device limits: peak rates, and the roofline time of a count of FLOPs and bytes.

Peaks are the vendors', dense (without structured sparsity), so a time from them is a bound from below and never an
estimate. The last-level cache matters for the bound: weights that stay in it need not cross the memory bus again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from allophone.costs.limits import check_compute_type, check_windows
from allophone.costs.moonshine import moonshine_weights
from allophone.costs.recognition import recognition_flops
from allophone.costs.weights import ACTIVATION_BYTES, whisper_weights
from allophone.dimensions.moonshine import MoonshineDimensions, RecognitionDimensions
from allophone.errors import SpaceError
from allophone.look_up import look_up

if TYPE_CHECKING:
    from allophone.records.point import ComputeType

__all__ = [
    "DEVICES",
    "Device",
    "device",
    "measured_device",
    "peak_flop_per_s",
    "recognition_roofline_latency_s",
    "roofline_latency_s",
]

MIB = 2**20
UNKNOWN_CACHE_BYTES = 2**63 - 1  # holds any model: a bound must not bill what may be cached


@dataclass(frozen=True, slots=True)
class Device:
    """One device's peaks.

    Args:
        name: Name in the table.
        flop_per_s: Dense peak by number format of the products.
        bytes_per_s: Memory bandwidth.
        cache_bytes: Last-level cache.
        source: Where the numbers are from.
    """

    name: str
    flop_per_s: Mapping[str, float]
    bytes_per_s: float
    cache_bytes: int
    source: str


def _row(name: str, rates: dict[str, float], bandwidth: float, cache_mib: float, source: str) -> tuple[str, Device]:
    return name, Device(name, MappingProxyType(rates), bandwidth, round(cache_mib * MIB), source)


def _tera(**rates: float) -> dict[str, float]:
    return {number_format: rate * 1e12 for number_format, rate in rates.items()}


DEVICES: dict[str, Device] = dict(
    (
        _row(
            "h200",
            _tera(float32=67, float16=989.5, bfloat16=989.5, int8=1979),
            4.8e12,
            50,
            "NVIDIA H200 Tensor Core GPU datasheet, SXM column, tensor rates halved to dense; cache: H100 white paper",
        ),
        _row(
            "h100-sxm",
            _tera(float32=67, float16=989.5, bfloat16=989.5, int8=1979),
            3.35e12,
            50,
            "NVIDIA H100 Tensor Core GPU datasheet, SXM column, tensor rates halved to dense; cache: H100 white paper",
        ),
        _row(
            "a100-sxm-80gb",
            _tera(float32=19.5, float16=312, bfloat16=312, int8=624),
            2.039e12,
            40,
            "NVIDIA A100 Tensor Core GPU datasheet, 80GB SXM column; cache: Ampere architecture white paper",
        ),
        _row(
            "l4",
            _tera(float32=30.3, float16=121, bfloat16=121, int8=242.5),
            300e9,
            48,
            "NVIDIA L4 Tensor Core GPU datasheet, tensor rates halved to dense; cache: Ada architecture white paper",
        ),
        _row(
            "t4",
            _tera(float32=8.1, float16=65, int8=130),
            320e9,
            4,
            "NVIDIA T4 Tensor Core GPU datasheet; cache: Turing architecture white paper",
        ),
        _row(
            "rtx-4090",
            _tera(float32=82.6, float16=330.3, bfloat16=165.2, int8=660.6),
            1008e9,
            72,
            "NVIDIA Ada GPU architecture white paper, appendix A, dense rates (float16 with float16 accumulation)",
        ),
        # 8 cores x 3.0e9 cycles x 2 units x 8 float32 lanes x 2 FLOPs; int8 dot products do 4 times as many. Two
        # channels of DDR4-3200 at 8 bytes a transfer.
        _row(
            "generic-cpu-8-core",
            {"float32": 8 * 3.0e9 * 2 * 8 * 2, "int8": 4 * 8 * 3.0e9 * 2 * 8 * 2},
            2 * 3200e6 * 8,
            16,
            "arithmetic: 8 AVX2 cores at 3 GHz with 2 fused multiply-add units, dual-channel DDR4-3200",
        ),
    )
)

# The number format in which products of a compute type are made.
PRODUCT_FORMAT: dict[ComputeType, str] = {
    "int8": "int8",
    "int8_float32": "int8",
    "int8_float16": "int8",
    "int8_bfloat16": "int8",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float32": "float32",
}


def device(name: str) -> Device:
    """Return the device called ``name``.

    Raises:
        SpaceError: The name is not in the table; the message lists the known ones.
    """
    return look_up(DEVICES, name, "device", "devices", SpaceError)


def measured_device(
    name: str,
    *,
    float32_flop_per_s: float,
    bytes_per_s: float,
    cache_bytes: int | None,
    int8_ratio: float,
    bfloat16_ratio: float,
) -> Device:
    """Return a device from rates measured on a machine; rates of narrower formats are bounded by their ratios.

    Args:
        name: What to call it.
        float32_flop_per_s: Measured rate of float32 products.
        bytes_per_s: Measured memory bandwidth.
        cache_bytes: Last-level cache; None where unknown, and then no weight is billed to the memory.
        int8_ratio: How many times the float32 rate int8 products reach at most.
        bfloat16_ratio: The same for bfloat16.
    """
    rates = {
        "float32": float32_flop_per_s,
        "int8": int8_ratio * float32_flop_per_s,
        "int16": bfloat16_ratio * float32_flop_per_s,
        "bfloat16": bfloat16_ratio * float32_flop_per_s,
    }
    cache = UNKNOWN_CACHE_BYTES if cache_bytes is None else cache_bytes
    return Device(name, MappingProxyType(rates), bytes_per_s, cache, "measured on this machine")


def peak_flop_per_s(on: Device, compute_type: ComputeType) -> float:
    """Return the dense peak for products of a compute type.

    Raises:
        SpaceError: The device has no rate for it; the message lists those it has.
    """
    check_compute_type(compute_type)
    number_format = PRODUCT_FORMAT.get(compute_type, compute_type)
    if number_format not in on.flop_per_s:
        raise SpaceError(f"{on.name} has no {number_format} rate for {compute_type}; known: {', '.join(on.flop_per_s)}")
    return on.flop_per_s[number_format]


def roofline_latency_s(flops: float, moved_bytes: float, on: Device, compute_type: ComputeType = "float32") -> float:
    """Least seconds for work that does so many FLOPs and moves so many bytes: the slower of the two at peak.

    Source: Williams, Waterman and Patterson, Roofline (CACM 52(4), 2009).

    Raises:
        SpaceError: The device has no rate for the compute type.
    """
    return max(flops / peak_flop_per_s(on, compute_type), moved_bytes / on.bytes_per_s)


def recognition_roofline_latency_s(
    dims: RecognitionDimensions,
    on: Device,
    *,
    window_frames: Sequence[int],
    window_tokens: Sequence[int],
    prompt_tokens: int,
    window_tail: Sequence[int] | None = None,
    token_stride: int = 1,
    beam_size: int = 1,
    compute_type: ComputeType = "float32",
) -> float:
    """Least seconds for one utterance, phase by phase, since phases follow each other.

    Each window's encoder reads the encoder's weights once. Each decoder pass (the prompt with the first token, then one
    a token) reads the decoder's weights and the vocabulary once, whatever the number of beams. Of weights read, those
    that fit the last-level cache are not billed; position tables, activations, keys and values are not billed at all.

    Raises:
        SpaceError: A knob outside the model's limits, or a compute type without a rate.
    """
    check_windows(window_frames, window_tokens)
    encoder_bytes, pass_bytes = (max(0, read - on.cache_bytes) for read in _read_bytes(dims, compute_type))
    total = 0.0
    tails = window_tail if window_tail is not None else [0] * len(window_frames)
    for frames, tail, text_tokens in zip(window_frames, tails, window_tokens, strict=True):
        parts = recognition_flops(
            dims,
            window_frames=[frames],
            window_tail=[tail],
            window_tokens=[text_tokens],
            prompt_tokens=prompt_tokens,
            token_stride=token_stride,
            beam_size=beam_size,
        )
        if frames:  # else the decoder alone ran again
            total += roofline_latency_s(parts.stem + parts.encoder, encoder_bytes, on, compute_type)
        decoding = parts.cross_kv + parts.decoder + parts.head
        total += roofline_latency_s(decoding, text_tokens * pass_bytes, on, compute_type)
    return total


def _read_bytes(dims: RecognitionDimensions, compute_type: ComputeType) -> tuple[int, int]:
    # Weights that one pass of the encoder reads, and one of the decoder; tables of positions and rows to look up stay.
    if isinstance(dims, MoonshineDimensions):  # positions are rotations, not tables
        makes, number = moonshine_weights(dims), 0
    else:
        makes, number = whisper_weights(dims), ACTIVATION_BYTES[compute_type]
    weights = {part: make.stored_bytes(compute_type) for part, make in makes.items()}
    encoder = weights["encoder"] - number * dims.n_audio_ctx * dims.n_audio_state
    return encoder, weights["decoder"] - number * dims.n_text_ctx * dims.n_text_state + weights["vocabulary"]
