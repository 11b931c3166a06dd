"""Weighted quantiles against numpy on the drawn utterances themselves."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from allophone.errors import UsageError
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import intervals
from allophone.measure.quantiles import resample_quantile


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 12), st.sampled_from([0.05, 0.5, 0.55, 0.95]))
def test_equals_numpy_on_the_drawn_utterances(seed, n_utterances, n_speakers, share):
    rng = np.random.default_rng(seed)
    values = np.round(rng.gamma(2, 1, (3, n_utterances)), 1)  # rounding makes ties
    resample = draw_blocks([str(s) for s in rng.integers(0, n_speakers, n_utterances)], n_replicates=20, seed=seed)
    replicates = resample_quantile(values, share, resample)
    np.testing.assert_array_equal(replicates.estimates, np.quantile(values, share, axis=1, method="inverted_cdf"))
    for row, weights in enumerate(np.concatenate(list(resample.weights()))):
        drawn = np.repeat(values, weights.astype(int)[resample.blocks], axis=1)
        np.testing.assert_array_equal(replicates.values[row], np.quantile(drawn, share, axis=1, method="inverted_cdf"))


def test_a_share_that_is_a_whole_number_of_utterances_is_not_rounded_past_it():
    # 0.55 of 100 utterances is 55.00000000000001 in floating point; the 55th of 1 to 100 is meant.
    resample = draw_blocks([None] * 100, blocked=False, n_replicates=5)
    assert resample_quantile([np.arange(1.0, 101.0)], 0.55, resample).estimates.tolist() == [55.0]


def test_agrees_with_scipy_on_independent_utterances():
    latency_s = np.random.default_rng(2).gamma(4, 0.1, 400)
    resample = draw_blocks([None] * 400, blocked=False)
    for share in (0.5, 0.95):
        interval = intervals(resample_quantile([latency_s], share, resample))[0]
        expected = scipy.stats.bootstrap(
            (latency_s,),
            lambda x, axis, share=share: np.quantile(x, share, axis=axis, method="inverted_cdf"),
            n_resamples=10_000,
            method="percentile",
            random_state=np.random.default_rng(1),
        )
        # Quantiles jump from one measured value to the next, so ends agree to a quarter of a standard error.
        assert [interval.low, interval.high] == pytest.approx(
            expected.confidence_interval, abs=0.25 * expected.standard_error
        )


@pytest.mark.parametrize(("n_speakers", "each"), [(12, 12), (28, 4), (40, 10)])
def test_intervals_of_median_and_p95_latency_cover(n_speakers, each):
    # Log-normal with speaker effects: the true median is 1, the p95 exp(1.645 · sqrt(0.3² + 0.5²)) = e^0.959 = 2.609.
    rng = np.random.default_rng(0)
    of = np.repeat(np.arange(n_speakers), each)
    speakers = rng.standard_normal((1000, n_speakers))[:, of]
    latency_s = np.exp(0.3 * speakers + 0.5 * rng.standard_normal((1000, of.size)))
    blocked = draw_blocks([str(s) for s in of], n_replicates=500)
    unblocked = draw_blocks([str(s) for s in of], n_replicates=500, blocked=False)

    def coverage(share, resample, truth):
        return np.mean([i.contains(truth) for i in intervals(resample_quantile(latency_s, share, resample))])

    assert 0.93 <= coverage(0.5, blocked, 1.0) <= 0.98  # 500 replicates make ends a little too far
    assert coverage(0.5, unblocked, 1.0) < coverage(0.5, blocked, 1.0) - 0.03
    assert 0.93 <= coverage(0.95, blocked, 2.609) <= 0.98  # the p95 of 112 utterances rests on 6 of them


def test_replicates_are_widened_in_places_and_not_in_values():
    # 40 values far apart at the top: what lies between the estimate and the next is no part of a difference in ranks.
    values = np.arange(40.0) ** 4
    resample = draw_blocks([str(i // 4) for i in range(40)], n_replicates=300)
    found = resample_quantile([values], 0.95, resample)
    assert set(found.inflated()[:, 0]) <= set(values)
    places = np.searchsorted(values, [found.values[:, 0], found.inflated()[:, 0]]) - 37
    wanted = resample.small_sample_factor() * places[0]
    outwards = np.where(wanted < 0, np.floor(wanted), np.ceil(wanted))
    np.testing.assert_array_equal(places[1], np.minimum(outwards, 2))
    one = draw_blocks([None], n_replicates=3)
    assert np.isnan(resample_quantile([[1.0]], 0.95, one).inflated()).all()


def test_a_difference_of_widened_quantiles_is_the_widened_difference():
    rng = np.random.default_rng(3)
    resample = draw_blocks([str(i % 9) for i in range(45)], n_replicates=50)
    found = resample_quantile(rng.gamma(2, 1, (3, 45)), 0.95, resample)
    between = found.difference(1)
    np.testing.assert_allclose(between.inflated(), found.inflated() - found.inflated()[:, [1]])
    assert between.estimates[1] == 0


def test_a_point_not_measured_leaves_the_others_alone():
    values = np.arange(60.0).reshape(2, 30)
    resample = draw_blocks([str(i % 25) for i in range(30)], n_replicates=50)
    alone = resample_quantile(values[:1], 0.5, resample)
    values[1, 3] = np.nan
    both = resample_quantile(values, 0.5, resample)
    np.testing.assert_array_equal(both.values[:, 0], alone.values[:, 0])
    assert np.isnan(both.values[:, 1]).all()
    assert np.isnan(both.estimates[1])


def test_wrong_input_is_refused():
    resample = draw_blocks(["a", "b"], n_replicates=10)
    with pytest.raises(ValueError, match="share"):
        resample_quantile([[1, 2]], 95, resample)
    with pytest.raises(UsageError, match="do not fit 2"):
        resample_quantile([[1, 2, 3]], 0.5, resample)
