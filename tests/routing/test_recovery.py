import numpy as np
import pytest

from allophone.routing.recovery import CURVE_POSITIONS, MIDDLE_HALF, mean_curve, recovered_gains, recovered_share
from allophone.routing.replay import ThresholdSweep, sweep_thresholds
from allophone.routing.routers import OracleRouter, Overhead, RandomRouter
from allophone.routing.samples import read_route_samples
from allophone.routing.selection import PredictedRouter
from route_runs import BASE, TINY, FixedRouter


@pytest.fixture(scope="module")
def samples(seen):
    return read_route_samples([seen], [TINY.name, BASE.name])


def judged(samples, *routers, kind="flops"):
    traces = [sweep_thresholds(samples, router) for router in routers]
    return recovered_gains(samples, traces, sweep_thresholds(samples, OracleRouter()), kind, n_replicates=300)


def test_the_oracle_recovers_all_of_its_own_gain(samples):
    found = judged(samples, OracleRouter())[0]
    assert found.share == pytest.approx(1)
    assert (found.interval.low, found.interval.high) == pytest.approx((1, 1))
    assert found.p_above > 0.99


def test_chance_itself_recovers_nothing(samples):
    shares = [judged(samples, RandomRouter(seed))[0].share for seed in range(8)]
    assert abs(np.mean(shares)) < 0.15


def test_a_router_that_knows_only_the_wrong_way_is_below_chance(samples):
    saved = samples.errors[:-1] - samples.errors[1:]
    right = PredictedRouter("right", "direct", Overhead(), saved)
    worst, best = judged(samples, PredictedRouter("worst", "direct", Overhead(), -saved), right)
    assert worst.share < 0 < best.share <= 1
    assert worst.p_above < 0.05
    assert best.p_above > 0.95
    assert best.p_lowest <= best.p_above


def test_chance_has_no_p_and_few_speakers_say_too_little(samples):
    router = PredictedRouter("right", "direct", Overhead(), samples.errors[:-1] - samples.errors[1:])
    assert np.isnan(judged(samples, RandomRouter())[0].p_above)
    four = np.flatnonzero(np.isin(samples.speakers, ["s0", "s1", "s2", "s3"]))
    short = np.arange(19)
    for places in (four, short):
        part = samples.take(places)
        assert np.isnan(judged(part, router.take(places))[0].p_above)
    five = np.flatnonzero(np.isin(samples.speakers, ["s0", "s1", "s2", "s3", "s4"]))
    assert judged(samples.take(five), router.take(five))[0].p_above > 0.9


def test_a_costlier_router_recovers_less_on_that_cost(samples):
    saved = samples.errors[:-1] - samples.errors[1:]
    free = PredictedRouter("free", "direct", Overhead(), saved)
    dear = PredictedRouter("dear", "cascade", Overhead(), saved)
    first, second = judged(samples, free, dear)
    assert second.share < first.share
    slow = PredictedRouter("slow", "direct", Overhead(seconds=0.02), saved)
    assert judged(samples, slow, kind="seconds")[0].share < judged(samples, free, kind="seconds")[0].share
    assert judged(samples, slow)[0].share == pytest.approx(first.share)


def test_curves_start_and_end_at_the_points(samples):
    found = judged(samples, RandomRouter())[0]
    wers = samples.errors.sum(axis=1) / samples.weights.sum()
    assert found.chance[[0, -1]] == pytest.approx(wers)
    assert found.wer[[0, -1]] == pytest.approx(wers)
    assert found.cost[[0, -1]] == pytest.approx(samples.flops.mean(axis=1))
    assert (found.oracle <= found.chance + 1e-12).all()


def test_a_curve_is_linear_between_thresholds_level_behind_and_nothing_before():
    read = mean_curve(np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.3, 0.4]), np.array([0.5, 1.0, 1.5, 3.0, 9.0]))
    assert np.isnan(read[0])
    assert read[1:] == pytest.approx([0.5, 0.4, 0.35, 0.4])


def test_the_share_is_an_area_over_the_middle_half():
    chance, oracle = np.full(41, 0.3), np.full(41, 0.1)
    routed = np.where(MIDDLE_HALF, 0.25, 9.0)  # what lies outside does not count
    assert recovered_share(chance, routed, oracle) == pytest.approx(0.25)
    assert np.isnan(recovered_share(chance, routed, chance))
    assert CURVE_POSITIONS[MIDDLE_HALF][[0, -1]].tolist() == [0.25, 0.75]


def test_where_a_router_cannot_spend_so_little_the_first_point_stands_for_it():
    chance, oracle = np.linspace(0.3, 0.2, 41), np.full(41, 0.1)
    never = np.full(41, np.nan)
    expected = (chance - 0.3)[MIDDLE_HALF].sum() / (chance - oracle)[MIDDLE_HALF].sum()
    assert recovered_share(chance, never, oracle) == pytest.approx(expected)


def test_fixed_points_lie_on_the_line_of_chance(samples):
    oracle = sweep_thresholds(samples, OracleRouter())
    first = sweep_thresholds(samples, FixedRouter(0))
    assert isinstance(first, ThresholdSweep)
    found = recovered_gains(samples, [first], oracle, n_replicates=50)[0]
    assert found.wer[0] == pytest.approx(found.chance[0])
    assert found.share < 0  # it spends nothing on better transcripts
