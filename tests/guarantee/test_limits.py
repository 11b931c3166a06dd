"""Points that keep limits: the promise over simulated corpora, the choice of the cheapest included."""

import numpy as np
import pytest

from allophone.guarantee.limits import keep_limits
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_mean, resample_ratio


def corpus(rng, rates, n_speakers, each=10):
    of = np.repeat(np.arange(n_speakers), each)
    words = rng.integers(4, 30, len(of)).astype(float)
    hard = rng.gamma(3, 1 / 3, n_speakers)[of] * rng.gamma(2, 1 / 2, len(of))
    own = np.exp(0.15 * rng.standard_normal((len(rates), n_speakers)) - 0.011)[:, of]
    errors = rng.poisson(words * np.asarray(rates)[:, None] * hard * own).astype(float)
    return [str(s) for s in of], words, errors


@pytest.mark.parametrize(("n_points", "n_speakers"), [(1, 12), (12, 12), (48, 28)])
def test_the_cheapest_point_let_through_keeps_the_limit_as_often_as_promised(n_points, n_speakers):
    rng = np.random.default_rng(n_points)
    rates = np.geomspace(0.16, 0.06, n_points) if n_points > 1 else np.array([0.1001])
    broken = naive = 0
    for seed in range(200):
        speakers, words, errors = corpus(rng, rates, n_speakers)
        resample = draw_blocks(speakers, n_replicates=500, seed=seed)
        resampled = {"wer": resample_ratio(errors, words, resample)}
        kept = np.flatnonzero(keep_limits(resampled, {"wer": 0.1}, 0.9).kept)
        broken += bool(kept.size) and rates[kept[0]] > 0.1  # points are listed from cheap to dear
        met = np.flatnonzero(resampled["wer"].estimates <= 0.1)
        naive += bool(met.size) and rates[met[0]] > 0.1
    assert broken / 200 <= 0.115
    assert naive / 200 > 0.4  # taken as measured, the cheapest that meets the limit breaks it this often


def test_every_limit_must_hold():
    rng = np.random.default_rng(5)
    speakers, words, errors = corpus(rng, [0.05, 0.05, 0.4], 28)
    resample = draw_blocks(speakers, n_replicates=1000)
    cost = np.repeat([[1.0], [3.0], [1.0]], len(words), axis=1)
    resampled = {"wer": resample_ratio(errors, words, resample), "gflops": resample_mean(cost, resample)}
    found = keep_limits(resampled, {"wer": 0.16, "gflops": 2.0}, 0.9)
    assert found.kept.tolist() == [True, False, False]
    assert found.probability[0] > 0.98  # a hundredth goes into setting the hopeless aside
    assert found.probability[1] == 0.0  # a cost that never varies is beyond its limit for certain
    assert found.alone[0] >= found.probability[0]


def test_hopeless_points_do_not_dilute_the_rest():
    rng = np.random.default_rng(6)
    speakers, words, errors = corpus(rng, [0.08], 28)
    futile = rng.poisson(words * 1.5, (40, len(words)))
    resample = draw_blocks(speakers, n_replicates=2000)
    alone = keep_limits({"wer": resample_ratio(errors, words, resample)}, {"wer": 0.14}, 0.9)
    among = keep_limits({"wer": resample_ratio(np.concatenate([errors, futile]), words, resample)}, {"wer": 0.14}, 0.9)
    assert not among.kept[1:].any()
    assert among.probability[0] == pytest.approx(alone.probability[0], abs=0.02)


def test_what_was_not_measured_keeps_no_limit():
    resample = draw_blocks([str(i) for i in range(20)], n_replicates=100)
    values = np.ones((2, 20))
    values[1, 3] = np.nan
    found = keep_limits({"cost": resample_mean(values, resample)}, {"cost": 2.0}, 0.9)
    assert found.kept.tolist() == [True, False]


@pytest.mark.parametrize("confidence", [0.5, 1.0, 90])
def test_a_confidence_out_of_range_is_refused(confidence):
    resample = draw_blocks(["a", "b"], n_replicates=10)
    with pytest.raises(ValueError, match=r"between 0\.5 and 1"):
        keep_limits({"cost": resample_mean(np.ones((1, 2)), resample)}, {"cost": 1.0}, confidence)
