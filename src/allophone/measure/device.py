"""Processor rates as measured: a large float32 product and a large copy, timed on some threads.

Both are what a program reaches, not what a vendor prints, so a latency bound from them can be beaten a little by
kernels better than numpy's; the median of several repeats keeps a busy moment from lowering it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from allophone.errors import AllophoneError

__all__ = ["MeasuredDevice", "cache_bytes_of", "format_ratios", "measure_device", "measure_device_apart"]

MATMUL_WIDTH = 2048  # 17 GFLOP, 48 MiB of operands
COPY_BYTES = 2**28  # far beyond any last-level cache
REPEATS = 7
_THREAD_VARIABLES = (  # of the libraries that numpy may multiply with, read when they are loaded
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)

# Products a cycle over those of float32, from the widest unit of one core: two 512-bit units do 64 float32 FLOPs, the
# tile unit 2048 of int8 and 1024 of bfloat16 (Intel 64 and IA-32 Optimization Reference Manual, chapter on AMX); an
# 8-bit dot product takes four values to a lane (AVX-512 VNNI, Arm SDOT), a 16-bit one two.
TILE_RATIOS = {"int8": 32, "bfloat16": 16}
DOT_RATIOS = {"int8": 4, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class MeasuredDevice:
    """Rates of this machine, with how they were measured.

    Args:
        matmul_width: Rows and columns of both operands.
        copy_bytes: Bytes copied in one repeat.
        repeats: Repeats of each, after one that is not counted.
        float32_flop_per_s: Median rate of the float32 product, 2 FLOPs a multiply-accumulate.
        bytes_per_s: Median rate of the copy, bytes read and bytes written both counted.
        cache_bytes: Last-level cache as the system states it, None where it does not.
        int8_ratio: How many times the float32 rate int8 products can reach at most, by the processor's instructions.
        bfloat16_ratio: The same for bfloat16.
        threads: Threads that ran.
    """

    matmul_width: int
    copy_bytes: int
    repeats: int
    float32_flop_per_s: float
    bytes_per_s: float
    cache_bytes: int | None
    int8_ratio: int
    bfloat16_ratio: int
    threads: int = 1


def measure_device(
    *,
    matmul_width: int = MATMUL_WIDTH,
    copy_bytes: int = COPY_BYTES,
    repeats: int = REPEATS,
    threads: int = 1,
    clock: Callable[[], float] = perf_counter,
) -> MeasuredDevice:
    """Time a float32 product and a copy; a few seconds at the default sizes.

    The product runs on as many threads as numpy was loaded with: :func:`measure_device_apart` sees to it that they are
    as many as the copy's.

    Args:
        matmul_width: Rows and columns of both operands.
        copy_bytes: Bytes to copy.
        repeats: Repeats of each; the median counts.
        threads: Threads that copy, each its part.
        clock: Seconds that only go forward.

    Raises:
        ValueError: A size or count below 1.
    """
    if min(matmul_width, copy_bytes, repeats, threads) < 1:
        raise ValueError("matmul_width, copy_bytes, repeats and threads must be at least 1")
    import numpy as np

    left = np.full((matmul_width, matmul_width), 0.5, np.float32)
    product = np.empty_like(left)
    matmul_s = _median_s(lambda: np.matmul(left, left, out=product), repeats, clock)
    source = np.ones(copy_bytes, np.uint8)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:  # numpy lets other threads run while it copies
        copy_s = _median_s(lambda: list(pool.map(lambda part: np.copyto(*part), parts)), repeats, clock)
    ratios = format_ratios(_text_of(Path("/proc/cpuinfo")))
    return MeasuredDevice(
        matmul_width=matmul_width,
        copy_bytes=copy_bytes,
        repeats=repeats,
        float32_flop_per_s=2 * matmul_width**3 / matmul_s,
        bytes_per_s=2 * copy_bytes / copy_s,
        cache_bytes=cache_bytes_of(Path("/sys/devices/system/cpu/cpu0/cache")),
        int8_ratio=ratios["int8"],
        bfloat16_ratio=ratios["bfloat16"],
        threads=threads,
    )


def measure_device_apart(threads: int) -> MeasuredDevice:
    """Measure in a process of its own, whose numpy has so many threads.

    Args:
        threads: How many.

    Raises:
        AllophoneError: The process failed.
    """
    count = str(threads)
    done = subprocess.run(
        [sys.executable, "-m", "allophone.measure.device", count],
        env={**os.environ, **dict.fromkeys(_THREAD_VARIABLES, count)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AllophoneError(f"this machine's rates cannot be measured: {done.stderr.strip().rpartition(chr(10))[2]}.")
    return MeasuredDevice(**json.loads(done.stdout))


def format_ratios(cpuinfo: str) -> dict[str, int]:
    """Return how many times the float32 rate int8 and bfloat16 products reach at most, from the text of /proc/cpuinfo.

    Without any of the known instructions the wider ratio of a plain dot product is kept, so that bounds stay bounds.
    """
    flags = set(cpuinfo.split())
    int8 = TILE_RATIOS if "amx_int8" in flags else DOT_RATIOS
    bfloat16 = TILE_RATIOS if "amx_bf16" in flags else DOT_RATIOS
    return {"int8": int8["int8"], "bfloat16": bfloat16["bfloat16"]}


def cache_bytes_of(folder: Path) -> int | None:
    """Return the size of the largest cache listed in a sysfs folder, None where none is."""
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
    matches = [re.fullmatch(r"(\d+)([KMG]?)", _text_of(file).strip()) for file in folder.glob("index*/size")]
    return max((int(match[1]) * units[match[2]] for match in matches if match), default=None)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:  # not Linux, or not allowed
        return ""


def _median_s(work: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    work()  # first touch, thread pools
    taken = []
    for _ in range(repeats):
        start = clock()
        work()
        taken.append(clock() - start)
    return median(taken)


if __name__ == "__main__":
    print(json.dumps(asdict(measure_device(threads=int(sys.argv[1])))))
