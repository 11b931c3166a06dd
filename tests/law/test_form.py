import numpy as np
import pytest
from scipy.optimize import least_squares

from allophone.law.form import LawForm, fit_rows

FORM = LawForm(2, ((0, 1),))
RNG = np.random.default_rng(0)
LOGS = RNG.uniform(-1.5, 1.5, size=(30, 2))
TRUTH = np.log([0.05, 0.1, 0.08, 0.6, 0.9, 0.03])


def test_the_form_is_the_formula():
    # e 0.05 + 0.1 * 2^-0.5 + 0.08 * 4^-1 + 0.03 * 2^-0.5 * 4^-1 = 0.05 + 0.0707107 + 0.02 + 0.0053033
    parameters = np.log([[0.05, 0.1, 0.08, 0.5, 1.0, 0.03]])
    assert FORM.losses(parameters, np.log([[2.0, 4.0]]))[0, 0] == pytest.approx(0.146014, abs=1e-6)
    assert FORM.n_parameters == 6


def test_derivatives_are_those_of_differences():
    values, slopes = FORM.derivatives(TRUTH[None], LOGS)
    np.testing.assert_allclose(values, FORM.losses(TRUTH[None], LOGS))
    for j in range(FORM.n_parameters):
        step = np.eye(FORM.n_parameters)[j] * 1e-6
        difference = (FORM.losses((TRUTH + step)[None], LOGS) - FORM.losses((TRUTH - step)[None], LOGS)) / 2e-6
        np.testing.assert_allclose(slopes[:, :, j], difference, rtol=1e-5, atol=1e-9)


def test_the_minimum_is_that_of_scipy():
    middle, spread = FORM.prior(0.2)
    targets = FORM.losses(TRUTH[None], LOGS) * (1 + 0.05 * RNG.standard_normal((4, 30)))
    weights = np.full(targets.shape, 1e4)
    starts = np.tile(middle, (4, 1))
    found, reached = fit_rows(FORM, LOGS, targets, weights, starts, spread, starts)
    for row in range(4):

        def residuals(parameters, row=row):
            return np.concatenate(
                [100 * (targets[row] - FORM.losses(parameters[None], LOGS)[0]), (parameters - middle) / spread]
            )

        other = least_squares(residuals, middle, xtol=1e-12, ftol=1e-12)
        assert reached[row] == pytest.approx(2 * other.cost, rel=1e-4)
        np.testing.assert_allclose(FORM.losses(found[[row]], LOGS), FORM.losses(other.x[None], LOGS), rtol=5e-3)


def test_a_point_of_no_weight_does_not_count():
    middle, spread = FORM.prior(0.2)
    targets = np.tile(FORM.losses(TRUTH[None], LOGS), (2, 1))
    targets[1, 0] = 50.0
    weights = np.full(targets.shape, 1e5)
    weights[:, 0] = 0
    starts = np.tile(middle, (2, 1))
    found, _ = fit_rows(FORM, LOGS, targets, weights, starts, spread, starts)
    np.testing.assert_allclose(found[0], found[1])


def test_rows_split_into_blocks_are_fitted_alike(monkeypatch):
    middle, spread = FORM.prior(0.2)
    targets = FORM.losses(TRUTH[None], LOGS) * (1 + 0.05 * RNG.standard_normal((5, 30)))
    starts = np.tile(middle, (5, 1))
    arguments = (FORM, LOGS, targets, np.full(targets.shape, 1e4), starts, spread, starts)
    whole, _ = fit_rows(*arguments)
    monkeypatch.setattr("allophone.law.form._BLOCK_NUMBERS", 30 * 6 * 2)
    np.testing.assert_allclose(fit_rows(*arguments)[0], whole, rtol=1e-6)
