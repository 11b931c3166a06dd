import numpy as np
import pytest

from allophone.law.form import LawForm
from allophone.law.validation import multi_start_fit, refit, variances_of, weighted_fit

FORM = LawForm(1, ())
LOGS = np.linspace(-1.5, 1.5, 25)[:, None]
TRUTH = np.log([0.05, 0.1, 0.8])
LOSSES = FORM.losses(TRUTH[None], LOGS)[0]


def test_variances_add_sampling_and_misfit():
    drawn = LOSSES + np.array([[0.01], [-0.01]])  # variance 1e-4 at every point
    found = variances_of(FORM, TRUTH, LOGS, drawn, 0.1)
    np.testing.assert_allclose(found, 1e-4 + (0.1 * LOSSES) ** 2)


def test_errors_that_all_points_share_are_not_taken_for_misfit():
    rng = np.random.default_rng(0)
    measured = LOSSES * (1 + 0.1 * rng.standard_normal(25))
    shared = measured * (1 + 0.3 * rng.standard_normal((200, 1)))  # sampling moves the whole curve, not points about it
    assert weighted_fit(FORM, LOGS, measured, shared)[1] == pytest.approx(0.1, abs=0.04)
    own = measured * (1 + 0.1 * rng.standard_normal((200, 25)))  # sampling explains all of the scatter
    assert weighted_fit(FORM, LOGS, measured, own)[1] < 0.06


def test_surely_measured_points_pull_harder():
    rough, sure = LOSSES.copy(), LOSSES.copy()
    rough[0] = sure[0] = 2 * LOSSES[0]
    weights = np.full(25, 1e5)
    weights_sure = weights.copy()
    weights[0], weights_sure[0] = 1e2, 1e6
    pulled = [
        FORM.losses(multi_start_fit(FORM, LOGS, rough[None], w[None]), LOGS)[0, 0] for w in (weights, weights_sure)
    ]
    assert pulled[0] == pytest.approx(LOSSES[0], rel=0.05)
    assert pulled[1] == pytest.approx(2 * LOSSES[0], rel=0.05)


def test_refits_spread_where_the_points_leave_the_law_open():
    two = np.repeat([-0.5, 0.5], 6)[:, None]  # two values: level and step are known, the exponent is not
    losses = FORM.losses(TRUTH[None], two)[0]
    coefficients, misfit = weighted_fit(FORM, two, losses, np.tile(losses, (200, 1)))
    refits = refit(FORM, two, losses, np.tile(losses, (200, 1)), coefficients, misfit)
    inside, beyond = FORM.losses(refits, np.array([[0.5], [-2.5]])).std(axis=0)
    assert inside < 0.01 * losses.mean()
    assert beyond > 20 * inside
