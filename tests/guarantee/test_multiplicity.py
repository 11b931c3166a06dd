"""Corrections for many points against exact small cases and against the error that they promise."""

import numpy as np
import pytest

from allophone.guarantee.multiplicity import assured_differences, step_down_p, tail_ranks


def test_ranks_are_upper_tail_p_values_within_each_column():
    ranks = tail_ranks(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [4.0, np.nan]]))
    assert ranks[:, 0].tolist() == [1.0, 0.75, 0.5, 0.25]
    assert ranks[:, 1].tolist() == [0.75, 0.75, 0.75, 1.0]


def test_identical_points_need_no_correction_and_independent_ones_bonferronis():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((20_000, 10))
    p = np.full(10, 0.01)
    alike = step_down_p(p, tail_ranks(np.repeat(noise[:, :1], 10, axis=1)))
    apart = step_down_p(p, tail_ranks(noise))
    assert alike == pytest.approx(np.full(10, 0.01), abs=0.001)
    assert apart == pytest.approx(np.full(10, 1 - 0.99**10), abs=0.01)  # 0.0956


def test_what_is_rejected_already_does_not_burden_the_rest():
    # Two independent points: the first is beyond doubt, so the second is judged nearly alone.
    rng = np.random.default_rng(1)
    adjusted = step_down_p(np.array([1e-4, 0.04]), tail_ranks(rng.standard_normal((20_000, 2))))
    assert adjusted[0] == pytest.approx(2e-4, abs=1e-4)
    assert adjusted[1] == pytest.approx(0.04, abs=0.002)


def test_any_false_rejection_is_as_rare_as_promised():
    rng = np.random.default_rng(2)
    wrong, n_blocks, n_points = 0, 40, 20
    for _ in range(300):
        shared = rng.standard_normal((n_blocks, 1)) + 0.7 * rng.standard_normal((n_blocks, n_points))
        means, errors = shared.mean(axis=0), shared.std(axis=0, ddof=1) / np.sqrt(n_blocks)
        drawn = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=500) @ shared / n_blocks
        ranks = tail_ranks((means - drawn) / errors)
        p = (1 + (((means - drawn) / errors) >= (-means / errors)).sum(axis=0)) / 501
        wrong += (step_down_p(p, ranks) <= 0.1).any()
    assert 0.06 <= wrong / 300 <= 0.15  # 0.1, standard error 0.017, and a little for 40 blocks


def compared(estimates, spread=0.01, floors=(0.0, 0.0), n_replicates=4000):
    estimates = np.asarray(estimates, dtype=float)
    noise = np.random.default_rng(3).standard_normal((n_replicates, *estimates.shape))
    noise[:, :, 1] = 0  # the cost is exact
    return assured_differences(estimates + spread * noise, estimates, floors)


def test_a_point_is_surely_no_worse_where_both_objectives_say_so():
    found = compared([[0.10, 1.0], [0.20, 1.0], [0.30, 2.0]])
    sure = found.probability(found.no_worse)
    assert sure[0, 1] > 0.99
    assert sure[0, 2] > 0.99
    assert sure[1, 0] == 0.0  # as measured it is worse
    assert sure[2, 0] == 0.0
    assert found.better[0, 1] == pytest.approx(0.1 / (0.01 * 2**0.5), rel=0.05)


def test_more_rivals_ask_for_more():
    few = compared([[0.100, 1.0], [0.130, 1.0]])
    many = compared([[0.100, 1.0], [0.130, 1.0], *([[0.115, 1.0]] * 30)])
    assert few.probability(few.no_worse)[0, 1] > 0.95
    assert many.probability(many.no_worse)[0, 1] < few.probability(few.no_worse)[0, 1]
    assert many.probability_of_all(many.no_worse)[0, 1] <= many.probability(many.no_worse)[0, 1]


def test_equal_points_are_no_worse_for_certain_and_never_better():
    estimates = np.array([[0.1, 1.0], [0.1, 1.0]])
    shared = 0.01 * np.random.default_rng(4).standard_normal((500, 1, 2))
    found = assured_differences(estimates + shared, estimates, (0.0, 0.0))
    assert found.no_worse[0, 1] == np.inf
    assert found.better[0, 1] == -np.inf


def test_costs_nearer_than_the_floor_are_neither_better_nor_worse():
    estimates = [[0.1, 1.00], [0.1, 1.02]]
    plain = compared(estimates, spread=0.0)
    assert plain.better[0, 1] == np.inf
    assert plain.no_worse[1, 0] == -np.inf
    floored = compared(estimates, spread=0.0, floors=(0.0, 0.03))
    assert floored.better[0, 1] == -np.inf
    assert floored.no_worse[1, 0] == np.inf


def test_what_was_not_measured_is_compared_with_nothing():
    found = compared([[0.1, 1.0], [np.nan, 1.0], [0.3, 1.0]])
    assert np.isnan(found.no_worse[0, 1])
    assert found.probability(found.no_worse)[0, 1] == 0.0
    assert found.probability(found.no_worse)[0, 2] > 0.99
