"""Roofline of this machine: measured rates, kept in the cache, and the least latency that they allow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from allophone.cache import cache_folder
from allophone.costs.devices import Device, measured_device, recognition_roofline_latency_s
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.errors import LedgerError, SpaceError, UsageError
from allophone.files import load_json, write_whole
from allophone.ledger.run_record import MachineStamp
from allophone.measure.device import MeasuredDevice, measure_device_apart
from allophone.records.point import OperatingPoint

__all__ = ["device_rates", "least_latency_s", "roofline_device"]


def device_rates(machine: MachineStamp, threads: int, *, again: bool = False) -> MeasuredDevice:
    """Return the rates of this machine, measuring them (a few seconds) where that was never done.

    Rates are bounds, so of repeated measurements the faster one is kept: a busy moment must not lower them.

    Args:
        machine: This machine; rates are kept by processor, cores and threads.
        threads: How many threads run.
        again: Measure even if there are rates already.
    """
    try:
        path = _path(machine, threads)
    except UsageError:  # no home and no cache: rates are measured every time
        return measure_device_apart(threads)
    kept = _read(path)
    if kept is not None and not again:
        return kept
    measured = measure_device_apart(threads)
    if kept is not None:
        faster = {
            name: max(getattr(kept, name), getattr(measured, name)) for name in ("float32_flop_per_s", "bytes_per_s")
        }
        measured = MeasuredDevice(**{**asdict(measured), **faster})
    try:
        write_whole(path, json.dumps(asdict(measured), indent=1))
    except LedgerError:  # a read-only cache only costs measuring again
        return measured
    return measured


def roofline_device(rates: MeasuredDevice) -> Device:
    """Return measured rates as a device of the cost model."""
    return measured_device(
        "this machine",
        float32_flop_per_s=rates.float32_flop_per_s,
        bytes_per_s=rates.bytes_per_s,
        cache_bytes=rates.cache_bytes,
        int8_ratio=rates.int8_ratio,
        bfloat16_ratio=rates.bfloat16_ratio,
    )


def least_latency_s(
    dims: RecognitionDimensions,
    point: OperatingPoint,
    on: Device,
    *,
    window_frames: Sequence[int],
    window_tail: Sequence[int],
    window_tokens: Sequence[int],
    prompt_tokens: int,
) -> float | None:
    """Return the roofline of one utterance in seconds, or None where the device has no rate for the compute type."""
    try:
        return recognition_roofline_latency_s(
            dims,
            on,
            window_frames=window_frames,
            window_tail=window_tail,
            window_tokens=window_tokens,
            prompt_tokens=prompt_tokens,
            token_stride=point.token_stride,
            beam_size=point.beam_size,
            compute_type=point.compute_type,
        )
    except SpaceError:
        return None


def _path(machine: MachineStamp, threads: int) -> Path:
    name = sha256(f"{machine.processor}/{machine.cores}/{threads}".encode()).hexdigest()[:16]
    return cache_folder() / "devices" / f"{name}.json"


def _read(path: Path) -> MeasuredDevice | None:
    try:
        return MeasuredDevice(**load_json(path))
    except (OSError, ValueError, TypeError):  # never measured, or by another version
        return None
