import json
from dataclasses import asdict

import pytest

from allophone.errors import AllophoneError
from allophone.measure import device
from allophone.measure.device import MeasuredDevice, cache_bytes_of, format_ratios, measure_device, measure_device_apart

MEASURED = MeasuredDevice(8, 1000, 3, 1.0, 1.0, None, 4, 2)


class Clock:
    """Advances by the given seconds between every pair of readings, 0 between pairs."""

    def __init__(self, *taken):
        self.steps = [step for seconds in taken for step in (0.0, seconds)]
        self.now = 0.0

    def __call__(self):
        self.now += self.steps.pop(0)
        return self.now


def test_rates_are_counts_over_the_median_time():
    # Product: times 2, 9, 4 s, median 4 s; 2 · 8³ = 1024 FLOPs. Copy: 1, 1, 8 s, median 1 s; 2 · 1000 bytes.
    measured = measure_device(matmul_width=8, copy_bytes=1000, repeats=3, clock=Clock(2, 9, 4, 1, 1, 8))
    assert measured.float32_flop_per_s == 1024 / 4
    assert measured.bytes_per_s == 2000
    assert (measured.matmul_width, measured.copy_bytes, measured.repeats) == (8, 1000, 3)


def test_this_machine_is_somewhere_between_a_microcontroller_and_a_supercomputer():
    measured = measure_device(matmul_width=256, copy_bytes=2**22, repeats=3)
    assert 1e8 < measured.float32_flop_per_s < 1e15
    assert 1e8 < measured.bytes_per_s < 1e14
    assert measured.int8_ratio >= 4
    assert measured.bfloat16_ratio >= 2


@pytest.mark.parametrize("knob", ["matmul_width", "copy_bytes", "repeats", "threads"])
def test_nothing_to_measure_is_an_error(knob):
    with pytest.raises(ValueError, match="at least 1"):
        measure_device(**{knob: 0})


def test_a_process_of_its_own_has_as_many_threads_as_asked(tmp_path, monkeypatch):
    # The process that it starts says what it was given, in place of measuring for seconds.
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\n"
        'test "$OPENBLAS_NUM_THREADS$OMP_NUM_THREADS$MKL_NUM_THREADS" = 333 || exit 1\n'
        f"echo '{json.dumps({**asdict(MEASURED), 'threads': 3})}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(device.sys, "executable", str(program))
    assert measure_device_apart(3).threads == 3
    program.write_text("#!/bin/sh\necho no memory >&2; exit 1\n")
    with pytest.raises(AllophoneError, match=r"rates cannot be measured: no memory\."):
        measure_device_apart(1)


@pytest.mark.parametrize(
    ("flags", "int8", "bfloat16"),
    [
        ("flags : fpu avx2", 4, 2),
        ("flags : avx512_vnni avx512_bf16", 4, 2),
        ("flags : amx_bf16 avx512_fp16 amx_tile amx_int8", 32, 16),
        ("Features : fp asimd asimddp", 4, 2),
        ("", 4, 2),
    ],
)
def test_ratios_follow_the_instructions(flags, int8, bfloat16):
    assert format_ratios(flags) == {"int8": int8, "bfloat16": bfloat16}


def test_the_last_level_cache_is_the_largest(tmp_path):
    for index, size in enumerate(["48K\n", "2048K\n", "260M\n", "odd\n"]):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}/size").write_text(size)
    assert cache_bytes_of(tmp_path) == 260 * 2**20
    assert cache_bytes_of(tmp_path / "nowhere") is None
