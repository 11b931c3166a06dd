import numpy as np
import pytest

from allophone.routing.replay import sweep_thresholds
from allophone.routing.router_metrics import SAVING_GAP, average_quality, first_crossing, router_metrics
from allophone.routing.routers import OracleRouter, Overhead, RandomRouter
from allophone.routing.samples import read_route_samples
from allophone.routing.selection import PredictedRouter
from route_runs import BASE, TINY


@pytest.fixture(scope="module")
def samples(unseen):
    return read_route_samples([unseen], [TINY.name, BASE.name])


def measured(samples, *routers):
    return router_metrics(samples, [sweep_thresholds(samples, router) for router in routers], n_replicates=200)


def quality(cost, values):
    return average_quality(np.array([cost]), np.array([values]), np.array([[1.0, 5.0]]), np.array([[0.2, 0.8]]))[0]


def test_the_hull_is_concave_and_never_falls():
    # From (1, 0.2) straight to (3, 0.8), over the dent at 2, then level: (0.5 * 2 + 0.8 * 2) / 4.
    assert quality([2.0, 3.0, 5.0], [0.3, 0.8, 0.6]) == pytest.approx(0.65)
    # Two segments, 0.2 to 0.6 to 0.8: (0.4 * 1 + 0.7 * 3) / 4.
    assert quality([2.0, 5.0], [0.6, 0.8]) == pytest.approx(0.625)
    # A router that never beats the first point leaves its quality, however dear it is.
    assert quality([2.0, 6.0], [0.1, 0.2]) == pytest.approx(0.2)
    # Beyond the last point's cost nothing counts: at 5 the line from (1, 0.2) to (9, 1) is at 0.6.
    assert quality([9.0], [1.0]) == pytest.approx(0.4)
    # Of two at one cost the better.
    assert quality([2.0, 2.0, 5.0], [0.5, 0.6, 0.8]) == pytest.approx(0.625)


def test_an_empty_range_of_costs_has_no_area():
    one = np.array([[1.0, 1.0]])
    assert np.isnan(average_quality(one, one, one, one))[0]


def test_a_level_is_reached_between_two_points():
    x, y = np.array([[0.0, 1.0, 3.0]] * 5), np.array([[0.0, 1.0, 0.5]] * 5)
    assert first_crossing(x, y, np.array([0.5, 1.0, -1.0, 2.0, np.nan])).tolist()[:4] == [0.5, 1.0, 0.0, np.inf]
    assert np.isnan(first_crossing(x, y, np.array([np.nan] * 5))).all()


def test_chance_recovers_half_and_saves_nothing(samples):
    rows = [measured(samples, RandomRouter(seed))[0] for seed in range(8)]
    assert np.mean([row.apgr.estimate for row in rows]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([row.cpt50.estimate for row in rows]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([row.flops_saved.estimate for row in rows]) < 0.1


def test_the_oracle_is_above_chance_by_every_metric(samples):
    oracle, chance = measured(samples, OracleRouter(), RandomRouter())
    assert oracle.aiq.estimate > chance.aiq.estimate
    assert oracle.apgr.estimate > 0.7
    assert oracle.cpt50.estimate < 0.3
    assert oracle.flops_saved.estimate > chance.flops_saved.estimate + 0.1
    assert oracle.flops_saved_at_gap.estimate >= oracle.flops_saved.estimate
    for name in ("aiq", "apgr", "cpt50", "flops_saved", "seconds_saved"):
        found = getattr(oracle, name)
        assert found.low <= found.estimate <= found.high


def test_what_is_saved_is_read_off_the_curve(samples):
    right = PredictedRouter("right", "direct", Overhead(), samples.errors[:-1] - samples.errors[1:])
    trace = sweep_thresholds(samples, right)
    words, last = samples.weights.sum(), samples.errors[-1].sum()
    wers = trace.errors.sum(axis=1) / words
    enough = np.flatnonzero(wers <= last / words + SAVING_GAP)[0]
    found = router_metrics(samples, [trace], n_replicates=50)[0]
    costs = trace.flops.mean(axis=1) / samples.flops[-1].mean()
    assert 1 - costs[enough] <= found.flops_saved_at_gap.estimate <= 1 - costs[enough - 1]


def test_no_gap_to_recover_is_undefined(samples):
    swapped = samples.take(np.arange(len(samples)))
    swapped.errors[:] = swapped.errors[::-1].copy()
    found = measured(swapped, RandomRouter())[0]
    assert np.isnan(found.apgr.estimate)
    assert np.isnan(found.cpt50.estimate)
    assert found.flops_saved.estimate > 0.5  # the first point alone is as good


def test_no_share_is_negative(samples):
    found = measured(samples.take(np.arange(24)), RandomRouter())[0]
    assert min(found.cpt50.low, found.flops_saved.low, found.seconds_saved.low) >= 0
