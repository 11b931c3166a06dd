"""The noise floor against new A/A pairs drawn from first principles."""

from dataclasses import replace

import numpy as np
import pytest

from allophone.frontier.noise_floor import Noise, Twins, estimate_noise, noise_floor, noise_notes, resample_time
from allophone.frontier.objectives import OBJECTIVES
from allophone.frontier.pareto import Frontier
from allophone.frontier.summarise import summarise_run
from allophone.ledger.twin_record import TwinRow, add_twins
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import intervals
from allophone.records.point import OperatingPoint
from builders import write_run

A = OperatingPoint(model="tiny.en")
B = OperatingPoint(model="base")


def total(name, latency_s):
    if name == "rtf":
        return latency_s.sum()
    return np.quantile(latency_s, {"latency_p50_s": 0.5, "latency_p95_s": 0.95}[name], method="inverted_cdf")


@pytest.mark.parametrize(
    ("n", "spread", "hiccups", "least"),
    [
        (24, 0.03, 0.0, 0.95),
        (60, 0.03, 0.0, 0.95),
        (60, 0.1, 0.1, 0.95),
        (200, 0.05, 0.03, 0.95),
        (60, 0.05, 0.03, 0.92),
    ],
)
def test_new_pairs_of_equal_points_stay_below_the_floor_as_often_as_promised(n, spread, hiccups, least):
    """In the last case a run sees two hiccups in its pair, and another run may have more: a little less is held."""
    rng, names = np.random.default_rng(0), ("rtf", "latency_p50_s", "latency_p95_s")
    held = {name: [] for name in names}
    for _ in range(300):
        true = rng.gamma(4, 0.1, n)
        noise = np.exp(spread * rng.standard_normal((4, n)))
        delays = np.where(rng.random((4, n)) < hiccups, rng.exponential(0.2, (4, n)), 0)
        times = true * noise + delays
        found = estimate_noise(Twins(times[:2], np.full((2, n), np.nan)))
        for name in names:
            one, other, seen, again = (total(name, row) for row in (*times[2:], *times[:2]))
            held[name].append(abs(other - one) / ((one + other) / 2) <= found[name].floor)
            assert found[name].floor >= (1 - 1e-9) * abs(again - seen) / ((seen + again) / 2)
    for name in names:
        assert np.mean(held[name]) >= least - 2 * 0.0126  # two standard errors


def test_the_floor_is_never_less_than_what_was_seen():
    # One of twenty takes twice as long: 20 and 21 s, 1 / 20.5 apart. One utterance carries it: t with 1 degree, 12.71.
    times = np.ones((2, 20))
    times[1, 0] = 2.0
    found = estimate_noise(Twins(times, np.full((2, 20), np.nan)))
    assert found["rtf"].floor == pytest.approx(12.71 / 20.5)
    assert found["rtf"].deviation == pytest.approx(12.71 / 20.5 / 1.96)
    assert found["latency_p50_s"] == Noise(0.0, 0.0, 20)
    # All a tenth longer: 20 and 22 s, and the root of 20 times 0.01 is less.
    drifting = np.ones((2, 20)) * [[1.0], [1.1]]
    noise = estimate_noise(Twins(drifting, drifting))
    assert noise["rtf"].floor == pytest.approx(2 / 21)
    assert noise["rtf"].deviation == pytest.approx(2.09 / 1.96 * np.sqrt(0.2) / 21)  # t with 20 degrees
    assert noise["latency_p95_s"].floor >= 0.1 / 1.05 - 1e-9


def test_memory_is_told_apart_to_its_resolution():
    peaks = np.array([[300e6, np.nan, 310e6], [303e6, 1.0, 310e6]])
    found = estimate_noise(Twins(np.ones((2, 3)), peaks))["peak_memory_bytes"]
    assert found == Noise(0.01, 0.01 / 1.96, 2)  # 3 MB of 301.5 are less than a hundredth
    further = peaks[:, :1] * [[1], [1.05]]
    assert estimate_noise(Twins(np.ones((2, 1)), further))["peak_memory_bytes"].floor > 0.05


def test_nothing_is_known_of_times_from_one_pair_and_of_memory_where_none_was_watched():
    assert estimate_noise(Twins(np.ones((2, 1)), np.full((2, 1), np.nan))) == {}


def test_exact_costs_have_no_floor_and_unknown_ones_say_so():
    noise = {"rtf": Noise(0.02, 0.01, 9)}
    assert noise_floor(noise, "rtf") == 0.02
    assert noise_floor(noise, "executed_gflops") == 0
    assert np.isnan(noise_floor({}, "latency_p95_s"))
    costs = [OBJECTIVES[name] for name in ("rtf", "executed_gflops", "peak_memory_bytes")]
    assert noise_notes({}, costs[1:2]) == ()
    known, unknown = noise_notes(noise, costs)
    assert "measured twice on 9 utterances: real-time factor 2.0 %" in known
    assert "peak resident memory is unknown" in unknown


def test_replicates_hold_the_noise_of_each_point_and_intervals_widen_with_it():
    rng = np.random.default_rng(1)
    latency_s, duration_s = rng.gamma(4, 0.1, (2, 60)), np.full(60, 4.0)
    resample = draw_blocks([str(k % 20) for k in range(60)], n_replicates=4000)
    for name in ("rtf", "latency_p95_s"):
        quiet = resample_time(latency_s, duration_s, name, {}, resample)
        noisy = resample_time(latency_s, duration_s, name, {name: Noise(0.4, 0.2, 60)}, resample)
        assert noisy.estimates.tolist() == quiet.estimates.tolist()
        factors = np.log(noisy.values / quiet.values)
        assert factors.std(axis=0) == pytest.approx(0.2 / np.sqrt(2), rel=0.05)  # a difference of two has 0.2
        assert abs(np.corrcoef(factors.T)[0, 1]) < 0.05
        again = resample_time(latency_s, duration_s, name, {name: Noise(0.4, 0.2, 60)}, resample)
        np.testing.assert_array_equal(again.values, noisy.values)
        for narrow, wide in zip(intervals(quiet), intervals(noisy), strict=True):
            apart_by = np.log([narrow.low / narrow.estimate, narrow.high / narrow.estimate])
            wanted = np.sign(apart_by) * np.hypot(apart_by, 1.96 * 0.2 / np.sqrt(2))
            assert np.log([wide.low / wide.estimate, wide.high / wide.estimate]) == pytest.approx(wanted, rel=0.25)


def test_a_run_reads_the_pairs_of_what_its_points_share(tmp_path):
    rows = [{"latency_s": 1.0, "speaker": f"s{index}"} for index in range(4)]
    run = write_run(tmp_path / "r", {A: rows, B: rows[:3]}, n_utterances=4)
    add_twins(run, [TwinRow(A.name, index, 1.0 + 0.1 * index, None, None, 303_000_000) for index in range(4)])
    noise = summarise_run(run).samples.noise
    assert noise["rtf"].pairs == 3
    # Differences 0, 0.1, 0.2 s, squares 0, 0.01, 0.04, carried by 0.0025 / 0.0017 = 1.5 utterances, of 3.15 s.
    assert noise["rtf"].floor == pytest.approx(12.71 * np.sqrt(0.05) / 3.15)
    assert noise["peak_memory_bytes"].pairs == 3
    frontier = Frontier.from_run(run)
    assert frontier.to_dict()["noise_floors"]["rtf"] == noise["rtf"].floor
    assert "Noise floor" in frontier.to_dict()["notices"][-1]


def test_equal_points_are_tied_where_their_peaks_differ_by_less_than_can_be_told(tmp_path):
    rows = {
        point: [{"speaker": f"s{index % 8}", "peak_memory_bytes": peak if index == 0 else None} for index in range(40)]
        for point, peak in ((A, 300_000_000), (B, 300_200_000))
    }
    run = write_run(tmp_path / "r", rows)
    assert [point.status for point in Frontier.from_run(run, "peak_memory_bytes").points] == ["on", "dominated"]
    add_twins(run, [TwinRow(A.name, index, 1.0, None, None, None if index else 300_100_000) for index in range(40)])
    assert [point.status for point in Frontier.from_run(run, "peak_memory_bytes").points] == ["tied", "tied"]


def test_a_run_without_a_pair_says_that_its_floor_is_unknown(tmp_path):
    run = write_run(tmp_path / "r", {A: [{}] * 3})
    frontier = Frontier.from_run(run)
    assert frontier.to_dict()["noise_floors"] == {}
    assert "real-time factor is unknown" in frontier.to_dict()["notices"][-1]
    assert not any("unknown" in line for line in Frontier.from_run(run, "executed_gflops").to_dict()["notices"])


def test_samples_without_noise_stay_as_they_were(tmp_path):
    run = write_run(tmp_path / "r", {A: [{"latency_s": 1.0 + index} for index in range(6)]})
    samples = summarise_run(run).samples
    assert samples.noise_floors == {}
    assert replace(samples, noise={"rtf": Noise(0.1, 0.05, 3)}).noise_floors == {"rtf": 0.1}
