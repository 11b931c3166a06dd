import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from allophone.errors import UsageError
from allophone.measure.temperature import calibration_error, fit_temperature, negative_log_likelihood, softmax


def drawn(n=4000, sharpness=1.0, seed=0):
    """Logits, and labels drawn from their softmax: perfectly calibrated before the logits are sharpened."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 4))
    labels = np.array([rng.choice(4, p=p) for p in softmax(logits)])
    return logits * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_overconfidence(sharpness):
    logits, labels = drawn(sharpness=sharpness)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(sharpness, rel=0.07)
    best = minimize_scalar(lambda t: negative_log_likelihood(logits, labels, t), bounds=(0.05, 20), method="bounded")
    assert temperature == pytest.approx(best.x, rel=1e-3)
    before, after = (softmax(logits, t) for t in (1.0, temperature))
    hits = after.argmax(1) == labels
    assert (after.argmax(1) == before.argmax(1)).all()
    assert calibration_error(after.max(1), hits) < 0.03
    if sharpness != 1:
        assert calibration_error(before.max(1), hits) > 0.08


def test_ends_of_the_range():
    assert fit_temperature([[1.0, 0.0]] * 3, [0, 0, 0]) == pytest.approx(0.05)
    assert fit_temperature([[1.0, 0.0]] * 4, [0, 0, 1, 1]) == pytest.approx(20.0)


def test_calibration_error_by_hand():
    # Bin of 0.6: confidence 0.6, accuracy 0.5; bin of 0.9: confidence 0.9, accuracy 1. (2·0.1 + 1·0.1) / 3
    assert calibration_error([0.6, 0.6, 0.9], [1, 0, 1], bins=10) == pytest.approx(0.1)
    assert calibration_error([1.0], [1]) == 0
    assert np.isnan(calibration_error([], []))


def test_softmax_and_their_limits():
    assert softmax([1000.0, 0.0]).tolist() == [1.0, 0.0]
    assert softmax([[0.0, 0.0]], 3.0).tolist() == [[0.5, 0.5]]
    with pytest.raises(UsageError, match="above 0"):
        softmax([0.0], 0.0)
    with pytest.raises(UsageError, match="needs utterances"):
        fit_temperature(np.empty((0, 3)), [])
