from dataclasses import replace

import pytest

from allophone.costs.devices import recognition_roofline_latency_s
from allophone.dimensions.whisper import whisper_dimensions
from allophone.ledger.run_record import machine_stamp
from allophone.measure.device import MeasuredDevice
from allophone.records.point import OperatingPoint
from allophone.sweeps.recognition import roofline
from allophone.sweeps.recognition.roofline import device_rates, least_latency_s, roofline_device


def rates(flop_per_s: float, bytes_per_s: float) -> MeasuredDevice:
    return MeasuredDevice(2048, 2**28, 7, flop_per_s, bytes_per_s, 2**25, 4, 2)


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Rates as if measured: a queue of what the next measurements will say."""
    monkeypatch.setenv("ALLOPHONE_CACHE", str(tmp_path / "cache"))
    queue = []
    monkeypatch.setattr(roofline, "measure_device_apart", lambda threads: replace(queue.pop(0), threads=threads))
    return queue


def test_rates_are_measured_once_and_kept(measured):
    measured.append(rates(100e9, 20e9))
    first = device_rates(machine_stamp(), 1)
    assert device_rates(machine_stamp(), 1) == first  # the queue is empty: a second measurement would fail


def test_a_busy_moment_does_not_lower_a_bound(measured):
    measured += [rates(100e9, 20e9), rates(50e9, 30e9)]
    device_rates(machine_stamp(), 1)
    again = device_rates(machine_stamp(), 1, again=True)
    assert (again.float32_flop_per_s, again.bytes_per_s) == (100e9, 30e9)


def test_another_processor_has_rates_of_its_own(measured):
    measured += [rates(100e9, 20e9), rates(7e9, 2e9)]
    device_rates(machine_stamp(), 1)
    other = machine_stamp().model_copy(update={"processor": "Abacus"})
    assert device_rates(other, 1).float32_flop_per_s == 7e9


def test_each_number_of_threads_has_rates_of_its_own(measured):
    measured += [rates(100e9, 20e9), rates(190e9, 30e9)]
    assert [device_rates(machine_stamp(), threads).threads for threads in (1, 2, 1)] == [1, 2, 1]
    assert device_rates(machine_stamp(), 2).float32_flop_per_s == 190e9


def test_a_cache_that_cannot_be_written_only_costs_measuring_again(measured, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALLOPHONE_CACHE", str(tmp_path / "file"))
    measured += [rates(1e9, 1e9), rates(2e9, 2e9)]
    device_rates(machine_stamp(), 1)
    assert device_rates(machine_stamp(), 1).float32_flop_per_s == 2e9


def test_the_least_latency_is_that_of_the_cost_model_and_unknown_without_a_rate():
    dims, device = whisper_dimensions("tiny.en"), roofline_device(rates(100e9, 20e9))
    windows = {"window_frames": [3000], "window_tail": [0], "window_tokens": [20], "prompt_tokens": 2}
    point = OperatingPoint(model="tiny.en", compute_type="float32")
    expected = recognition_roofline_latency_s(dims, device, **windows)
    assert least_latency_s(dims, point, device, **windows) == expected > 0
    assert least_latency_s(dims, OperatingPoint(model="tiny.en", compute_type="float16"), device, **windows) is None
