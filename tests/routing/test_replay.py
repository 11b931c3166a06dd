import numpy as np
import pytest

from allophone.routing.replay import break_even, replay, sweep_thresholds, thresholds_of
from allophone.routing.routers import DurationRouter, Overhead, RandomRouter
from allophone.routing.samples import read_route_samples
from allophone.routing.selection import PredictedRouter
from route_runs import BASE, SMALL, TINY, FixedRouter, write_routed


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    run = write_routed(tmp_path_factory.mktemp("three") / "r", 20, points=(TINY, BASE, SMALL))
    return read_route_samples([run], [TINY.name, BASE.name, SMALL.name])


SCORES = np.repeat(np.array([[1.0] * 10 + [3.0] * 10, [0.0] * 15 + [3.0] * 5]), 1, axis=0)
COST = Overhead(flops=1e6, seconds=0.002, seconds_per_audio_s=0.001)


def outcome(samples, order, overhead=COST):
    return replay(samples, PredictedRouter("r", order, overhead, SCORES), 2.0)


def test_a_cascade_pays_for_everything_that_ran(samples):
    found = outcome(samples, "cascade")
    assert found.reached.tolist() == [0] * 10 + [1] * 5 + [2] * 5
    flops, seconds, read = samples.flops, samples.latency_s, samples.confidence_s
    look = 0.002 + 0.001 * samples.duration_s
    assert found.flops[0] == flops[0, 0] + 1e6
    assert found.flops[12] == flops[:2, 12].sum() + 2e6
    assert found.flops[19] == flops[:, 19].sum() + 2e6  # the last point is not scored
    assert found.seconds[12] == pytest.approx(seconds[:2, 12].sum() + read[:2, 12].sum() + 2 * look[12])
    assert found.seconds[19] == pytest.approx(seconds[:, 19].sum() + read[:2, 19].sum() + 2 * look[19])


def test_choosing_between_transcripts_reads_the_last_one_too(samples):
    plain = outcome(samples, "cascade", Overhead())
    choosing = outcome(samples, "cascade", Overhead(reads_last=True))
    assert (choosing.seconds - plain.seconds)[[0, 12, 19]] == pytest.approx([0, 0, samples.confidence_s[2, 19]])


def test_the_first_encoder_is_wasted_on_whoever_climbs(samples):
    found = outcome(samples, "small_first")
    assert found.flops[0] == samples.flops[0, 0] + 1e6
    assert found.flops[12] == samples.flops[1, 12] + samples.encoder_flops[0, 12] + 1e6
    assert found.seconds[12] == pytest.approx(
        samples.latency_s[1, 12] + samples.before_s[0, 12] + 0.002 + 0.001 * samples.duration_s[12]
    )


def test_the_big_encoder_is_wasted_on_whoever_stays_below(samples):
    found = outcome(samples, "big_first", Overhead())
    assert found.flops[0] == samples.flops[0, 0] + samples.encoder_flops[2, 0]
    assert found.flops[19] == samples.flops[2, 19]


def test_a_direct_router_pays_for_one_point(samples):
    found = outcome(samples, "direct", Overhead())
    assert found.flops.tolist() == samples.flops[found.reached, np.arange(20)].tolist()


def test_a_kept_transcript_may_be_an_earlier_one(samples):
    kept = np.zeros((3, 20), np.intp)
    found = replay(samples, PredictedRouter("r", "cascade", Overhead(), SCORES, kept), 2.0)
    assert found.errors.tolist() == samples.errors[0].tolist()
    assert found.flops[19] == samples.flops[:, 19].sum()


def test_a_trace_goes_from_the_first_point_for_all_to_the_last_for_all(samples):
    trace = sweep_thresholds(samples, RandomRouter())
    assert trace.reached[0].max() == 0
    assert trace.reached[-1].min() == 2
    assert (np.diff(trace.flops.sum(axis=1)) >= 0).all()
    assert trace.errors[0].tolist() == samples.errors[0].tolist()


def test_thresholds_fall_and_fixed_has_two():
    assert thresholds_of(np.array([[3.0, 1.0, 2.0]])).tolist() == [np.inf, 3, 2, 1, -np.inf]
    assert thresholds_of(np.array([[np.inf, -np.inf]])).tolist() == [np.inf, -np.inf]
    many = thresholds_of(np.random.default_rng(0).normal(size=(1, 5000)))
    assert len(many) == 101
    assert (np.diff(many) < 0).all()


def test_a_fixed_point_costs_what_it_costs(samples):
    trace = sweep_thresholds(samples, FixedRouter(1))
    assert set(trace.reached[1:-1].ravel().tolist()) <= {1}
    assert replay(samples, FixedRouter(1), 0.0).flops.tolist() == samples.flops[1].tolist()
    assert sweep_thresholds(samples, DurationRouter()).name == "duration"


def test_break_even_follows_from_the_means(tmp_path):
    run = write_routed(tmp_path / "r", 20)
    two = read_route_samples([run], [TINY.name, BASE.name])
    # tiny costs a quarter of base: a cascade at share p costs 0.25 + p, so p* = 0.75; choosing directly always pays
    assert break_even(two, "cascade", Overhead()) == pytest.approx(0.75)
    assert break_even(two, "direct", Overhead()) == 1
    # in seconds 0.1 against 0.4, and 1 ms more to read the tokens: (0.4 - 0.101) / 0.4
    assert break_even(two, "cascade", Overhead(), seconds=True) == pytest.approx(0.7475)
    assert break_even(two, "cascade", Overhead(flops=1e12)) is None


def test_deciding_can_cost_by_the_second(samples):
    plain, dearer = (outcome(samples, "direct", Overhead(flops=1e6, flops_per_audio_s=rate)) for rate in (0.0, 2e6))
    assert (dearer.flops - plain.flops) == pytest.approx(2e6 * samples.duration_s)


@pytest.mark.parametrize("order", ["direct", "small_first", "big_first", "cascade"])
def test_a_trace_is_the_replay_at_each_of_its_thresholds(tmp_path, order):
    run = write_routed(tmp_path / "r", 30, points=(TINY, BASE, SMALL))
    samples = read_route_samples([run], [TINY.name, BASE.name, SMALL.name])
    rng = np.random.default_rng(0)
    overhead = Overhead(1e6, 1e5, 0.01, 0.001, reads_last=True)
    keeps = np.minimum(np.arange(3)[:, None], rng.integers(0, 3, 30))
    router = PredictedRouter("r", order, overhead, rng.standard_normal((2, 30)), keeps)
    trace = sweep_thresholds(samples, router)
    for place, threshold in enumerate(trace.thresholds):
        outcome = replay(samples, router, threshold)
        for name in ("reached", "errors", "flops", "seconds"):
            assert (getattr(trace, name)[place] == getattr(outcome, name)).all()
