from itertools import product

import numpy as np
import pytest

from allophone.errors import UsageError
from allophone.routing.routers import (
    DurationRouter,
    OracleRouter,
    RandomRouter,
    SnrRouter,
    envelope_slopes,
    reached_points,
)
from allophone.routing.samples import read_route_samples
from route_runs import BASE, SMALL, TINY, FixedRouter, write_routed


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    run = write_routed(tmp_path_factory.mktemp("three") / "r", 40, points=(TINY, BASE, SMALL))
    return read_route_samples([run], [TINY.name, BASE.name, SMALL.name])


def test_an_utterance_climbs_while_its_scores_are_above_the_threshold():
    scores = np.array([[2.0, 2.0, 0.0, 1.0], [3.0, 0.5, 9.0, 1.0]])
    assert reached_points(scores, 1.0).tolist() == [2, 1, 0, 0]
    assert reached_points(scores, -np.inf).tolist() == [2, 2, 2, 2]
    assert reached_points(scores, np.inf).tolist() == [0, 0, 0, 0]


def test_slopes_pick_the_best_point_at_every_price():
    rng = np.random.default_rng(0)
    gains = rng.integers(0, 6, (4, 300)).astype(float)
    costs = np.cumsum(rng.integers(1, 4, (4, 300)).astype(float), axis=0)
    slopes = envelope_slopes(gains, costs)
    assert (np.diff(slopes, axis=0) <= 1e-9).all()
    for price in (-1.3, -0.21, 0.13, 0.77, 2.9):
        value = gains - price * costs
        reached = reached_points(slopes, price)
        assert value[reached, np.arange(300)] == pytest.approx(value.max(axis=0), abs=1e-4)


def test_the_oracle_reaches_the_least_errors_of_any_choice_within_its_cost(three):
    few = three.take(np.arange(6))
    choices = [np.array(choice) for choice in product(range(3), repeat=6)]
    columns = np.arange(6)
    exhaustive = [(few.flops[c, columns].sum(), few.errors[c, columns].sum()) for c in choices]
    scores = OracleRouter().scores(few)
    for threshold in np.unique(scores[np.isfinite(scores)]):
        reached = reached_points(scores, threshold)
        cost, errors = few.flops[reached, columns].sum(), few.errors[reached, columns].sum()
        assert errors == min(e for c, e in exhaustive if c <= cost)


def test_the_oracle_never_climbs_for_nothing(three):
    reached = reached_points(OracleRouter().scores(three), -np.inf)
    assert three.errors[reached, np.arange(40)].sum() == three.errors.min(axis=0).sum()


def test_fixed_stays_where_it_is_told(three):
    for point in range(3):
        for threshold in (-1.0, 0.0, 5.0):
            assert set(reached_points(FixedRouter(point).scores(three), threshold).tolist()) == {point}
    with pytest.raises(UsageError, match="point 3 of 3"):
        FixedRouter(3).scores(three)


def test_random_sends_the_share_asked_for_and_is_seeded(three):
    scores = RandomRouter(1).scores(three)
    assert (scores == RandomRouter(1).scores(three)).all()
    assert (scores != RandomRouter(2).scores(three)).any()
    assert 0.1 < (reached_points(scores, 0.7) == 2).mean() < 0.6


def test_weak_baselines_order_by_length_and_noise(three):
    assert (DurationRouter().scores(three)[0] == three.duration_s).all()
    assert (DurationRouter(-1).scores(three)[0] == -three.duration_s).all()
    snr = np.arange(40.0)
    assert reached_points(SnrRouter(snr).scores(three), -10.0).tolist() == [2] * 10 + [0] * 30
