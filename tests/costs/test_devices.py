import pytest

from allophone.costs.devices import (
    DEVICES,
    Device,
    device,
    measured_device,
    peak_flop_per_s,
    recognition_roofline_latency_s,
    roofline_latency_s,
)
from allophone.costs.executed import whisper_flops
from allophone.costs.weights import whisper_weights
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError

SLOW = Device("slow", {"float32": 1e9, "int8": 4e9}, bytes_per_s=1e8, cache_bytes=0, source="made up")


@pytest.mark.parametrize("name", DEVICES)
def test_every_row_has_a_source_and_rates_that_grow_as_formats_shrink(name):
    row = device(name)
    assert row.name == name
    assert len(row.source) > 20
    assert row.flop_per_s["float32"] <= row.flop_per_s.get("float16", row.flop_per_s["int8"]) <= row.flop_per_s["int8"]
    assert 0 < row.bytes_per_s < row.flop_per_s["float32"]
    assert row.cache_bytes >= 2**22


def test_generic_cpu_by_hand():
    # 8 cores · 3 GHz · 2 units · 8 lanes · 2 FLOPs = 768 GFLOP/s; 2 channels · 3200 MT/s · 8 bytes = 51.2 GB/s
    cpu = device("generic-cpu-8-core")
    assert cpu.flop_per_s["float32"] == 768e9
    assert cpu.bytes_per_s == 51.2e9


def test_the_slower_of_the_two_roofs_counts():
    assert roofline_latency_s(2e9, 1e6, SLOW) == 2  # arithmetic
    assert roofline_latency_s(2e6, 3e8, SLOW) == 3  # memory
    assert roofline_latency_s(2e9, 1e6, SLOW, "int8_float32") == 0.5
    assert roofline_latency_s(0, 0, SLOW) == 0


def test_unknown_devices_and_formats_name_the_known():
    with pytest.raises(SpaceError, match="a100-sxm-80gb"):
        device("abacus")
    with pytest.raises(SpaceError, match="known: float32, float16, int8"):
        peak_flop_per_s(device("t4"), "bfloat16")
    with pytest.raises(SpaceError, match="int8_bfloat16"):
        peak_flop_per_s(SLOW, "int4")


def test_whisper_is_bound_phase_by_phase():
    dims = whisper_dimensions("tiny")
    knobs = {"prompt_tokens": 4, "token_stride": 2, "beam_size": 3}
    flops = whisper_flops(dims, window_frames=[3000], window_tokens=[20], **knobs)
    weights = {part: make.stored_bytes("float32") for part, make in whisper_weights(dims).items()}
    tables = {"encoder": 4 * 1500 * 384, "decoder": 4 * 448 * 384}  # of positions, of which only rows are read
    encoder = max((flops.stem + flops.encoder) / 1e9, (weights["encoder"] - tables["encoder"]) / 1e8)
    passes = 20 * (weights["decoder"] - tables["decoder"] + weights["vocabulary"]) / 1e8
    decoder = max((flops.cross_kv + flops.decoder + flops.head) / 1e9, passes)
    bound = recognition_roofline_latency_s(dims, SLOW, window_frames=[3000], window_tokens=[20], **knobs)
    assert bound == pytest.approx(encoder + decoder)
    twice = recognition_roofline_latency_s(dims, SLOW, window_frames=[3000] * 2, window_tokens=[20] * 2, **knobs)
    assert twice == pytest.approx(2 * bound)
    assert recognition_roofline_latency_s(dims, SLOW, window_frames=[], window_tokens=[], **knobs) == 0


def test_weights_that_fit_the_cache_are_not_billed():
    dims = whisper_dimensions("tiny")
    rates = {"float32_flop_per_s": 1e9, "bytes_per_s": 1.0, "int8_ratio": 4, "bfloat16_ratio": 2}
    unknown = measured_device("here", **rates, cache_bytes=None)
    run = {"window_frames": [3000], "window_tokens": [5], "prompt_tokens": 4}
    flops = whisper_flops(dims, **run).total
    assert recognition_roofline_latency_s(dims, unknown, **run) == pytest.approx(flops / 1e9)
    assert recognition_roofline_latency_s(dims, unknown, **run, compute_type="int8") == pytest.approx(flops / 4e9)
    assert recognition_roofline_latency_s(dims, unknown, **run, compute_type="bfloat16") == pytest.approx(flops / 2e9)
    none = measured_device("here", **rates, cache_bytes=0)
    assert recognition_roofline_latency_s(dims, none, **run) > 1e8  # a byte a second


def test_windows_and_tokens_go_together():
    with pytest.raises(SpaceError, match="2 window_frames but 1 window_tokens"):
        recognition_roofline_latency_s(
            whisper_dimensions("tiny"), SLOW, window_frames=[30, 30], window_tokens=[1], prompt_tokens=4
        )
