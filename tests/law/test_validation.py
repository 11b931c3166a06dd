import numpy as np
import pytest

from allophone.law.form import LawForm
from allophone.law.validation import CrossValidation, LeftOut, cross_validate, multi_start_fit

FORM = LawForm(2, ())
GRID = np.array([(a, b) for a in (-1.0, 0.0, 1.0) for b in (-0.7, 0.7)])
RNG = np.random.default_rng(0)
LOSSES = FORM.losses(np.log([[0.05, 0.1, 0.05, 0.6, 0.9]]), GRID)[0] * (1 + 0.05 * RNG.standard_normal(6))
WEIGHTS = 1 / (0.05 * LOSSES) ** 2


def test_a_left_out_point_is_predicted_as_if_it_had_never_been():
    validation = cross_validate(FORM, GRID, LOSSES, WEIGHTS, ("model", "beam_size"))
    law, trivial = [], []
    for out in range(6):
        rest = np.arange(6) != out
        fitted = multi_start_fit(FORM, GRID[rest], LOSSES[None, rest], WEIGHTS[None, rest])
        law.append(abs(FORM.losses(fitted, GRID[[out]])[0, 0] - LOSSES[out]))
        trivial.append(abs(np.median(LOSSES[rest]) - LOSSES[out]))
    assert validation.point_error == pytest.approx(np.mean(law), rel=1e-3)
    assert validation.point_trivial == pytest.approx(np.mean(trivial))
    np.testing.assert_allclose(validation.gains, np.subtract(trivial, law), atol=1e-5)


def test_left_out_values_are_those_of_axes_with_three():
    validation = cross_validate(FORM, GRID, LOSSES, WEIGHTS, ("model", "beam_size"))
    assert list(validation.values) == ["model"]
    error, trivial = [], []
    for value in (-1.0, 0.0, 1.0):
        out = GRID[:, 0] == value
        fitted = multi_start_fit(FORM, GRID[~out], LOSSES[None, ~out], WEIGHTS[None, ~out])
        error += np.abs(FORM.losses(fitted, GRID[out])[0] - LOSSES[out]).tolist()
        trivial += np.abs(np.median(LOSSES[~out]) - LOSSES[out]).tolist()
    assert validation.values["model"].error == pytest.approx(np.mean(error), rel=1e-3)
    assert validation.values["model"].trivial == pytest.approx(np.mean(trivial))


def test_what_carries_beyond_was_seen_to():
    values = {"model": LeftOut(0.01, 0.02), "speed": LeftOut(0.03, 0.02)}
    validation = CrossValidation(0.01, 0.02, np.zeros(3), values)
    assert [validation.extrapolates(axis) for axis in ("model", "speed", "beam_size")] == [True, False, False]
