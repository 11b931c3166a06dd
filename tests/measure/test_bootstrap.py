"""Intervals against theory (coverage over simulated corpora), against scipy, and where they degenerate."""

import numpy as np
import pytest
import scipy.stats

from allophone.errors import UsageError
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates, resample_mean, resample_ratio, resample_ratio_difference
from allophone.measure.intervals import Interval, intervals

N_SIMULATIONS = 1000
WER = 0.12
MORE = 0.024  # by how much the second point's WER is higher


def simulate(n_speakers, utterances_each=10):
    """1,000 corpora of one layout, each measured at two points whose true WER is known.

    Errors of an utterance are Poisson around ``words · WER · speaker · utterance``, the last two gamma of mean 1 and
    standard deviation 0.6: some speakers are far harder than others, and errors are skewed as real ones are. The second
    point finds the same speakers and utterances hard, with a quarter of spread of its own per speaker.

    Returns:
        Speakers and reference words of the utterances; errors at both points, shape (1000, n_utterances) each.
    """
    rng = np.random.default_rng(n_speakers)
    of = np.repeat(np.arange(n_speakers), utterances_each)
    words = rng.integers(5, 36, len(of))
    shape = 1 / 0.6**2
    speaker = rng.gamma(shape, 1 / shape, (N_SIMULATIONS, n_speakers))[:, of]
    utterance = rng.gamma(shape, 1 / shape, (N_SIMULATIONS, len(of)))
    own = rng.gamma(16, 1 / 16, (N_SIMULATIONS, n_speakers))[:, of]
    first = rng.poisson(words * WER * speaker * utterance)
    second = rng.poisson(words * (WER + MORE) * speaker * utterance * own)
    return [str(s) for s in of], words, first, second


def coverage(replicates, truth):
    return np.mean([interval.contains(truth) for interval in intervals(replicates)])


def percentile_coverage(replicates, truth):
    """What the textbook percentile interval would cover."""
    low, high = np.quantile(replicates.values, [0.025, 0.975], axis=0)
    return np.mean((low <= truth) & (truth <= high))


# Of 1,000 corpora, coverage of exactly 95 % has a standard error of 0.7 points.


def test_95_percent_intervals_cover_93_to_97_percent_with_40_speakers():
    speakers, words, first, second = simulate(40)
    resample = draw_blocks(speakers, n_replicates=2000)
    assert 0.93 <= coverage(resample_ratio(first, words, resample), WER) <= 0.97
    assert 0.93 <= coverage(resample_ratio(second, words, resample), WER + MORE) <= 0.97
    assert 0.93 <= coverage(resample_ratio(second - first, words, resample), MORE) <= 0.97


def test_an_unblocked_bootstrap_of_the_same_corpora_fails():
    speakers, words, first, second = simulate(40)
    resample = draw_blocks(speakers, n_replicates=2000, blocked=False)
    assert coverage(resample_ratio(first, words, resample), WER) < 0.85
    assert coverage(resample_ratio(second - first, words, resample), MORE) < 0.88


def test_six_speakers_break_the_percentile_interval_and_hardly_this_one():
    speakers, words, first, second = simulate(6)
    resample = draw_blocks(speakers, n_replicates=2000)
    rates, differences = resample_ratio(first, words, resample), resample_ratio(second - first, words, resample)
    assert percentile_coverage(rates, WER) < 0.86
    assert percentile_coverage(differences, MORE) < 0.86
    assert 0.92 <= coverage(rates, WER) <= 0.98
    assert 0.92 <= coverage(differences, MORE) <= 0.98
    # Without standard errors the widened percentiles serve: better than the percentiles, short of the studentised.
    inflated = Replicates(resample, rates.estimates, rates.values)
    assert percentile_coverage(rates, WER) + 0.05 < coverage(inflated, WER) < coverage(rates, WER)


@pytest.fixture(scope="module")
def independent():
    """300 independent utterances: reference words, and errors at two points."""
    rng = np.random.default_rng(7)
    words = rng.integers(5, 36, 300)
    hard = rng.gamma(4, 1 / 4, 300)
    return words, rng.poisson(0.1 * words * hard), rng.poisson(0.12 * words * hard)


def scipy_bootstrap(data, statistic, method):
    return scipy.stats.bootstrap(
        data, statistic, paired=True, n_resamples=10_000, method=method, random_state=np.random.default_rng(1)
    )


def test_agrees_with_scipy_on_independent_utterances(independent):
    words, first, second = independent
    resample = draw_blocks([None] * 300, blocked=False)
    cases = {
        "wer": (resample_ratio([first], words, resample), (first, words), lambda e, w, axis: e.sum(axis) / w.sum(axis)),
        "mean": (resample_mean([first], resample), (first, words), lambda e, _, axis: e.mean(axis)),
        "difference": (
            resample_ratio_difference([first, second], words, resample, reference=0),
            (second - first, words),
            lambda e, w, axis: e.sum(axis) / w.sum(axis),
        ),
    }
    for replicates, data, statistic in cases.values():
        expected = scipy_bootstrap(data, statistic, "percentile")
        error = expected.standard_error
        ours = replicates.values[:, -1]
        assert ours.std(ddof=1) == pytest.approx(error, rel=0.03)  # 10,000 replicates: 0.7 % standard error
        ends = np.quantile(ours, [0.025, 0.975])
        assert ends == pytest.approx(expected.confidence_interval, abs=0.1 * error)
        # The studentised interval is at home with the accelerated one of scipy: within a fifth of a standard error.
        assert replicates.standard_errors[-1] == pytest.approx(error, rel=0.03)
        accelerated = scipy_bootstrap(data, statistic, "BCa").confidence_interval
        interval = intervals(replicates)[-1]
        assert [interval.low, interval.high] == pytest.approx(accelerated, abs=0.2 * error)


def test_ratio_and_its_standard_error_by_hand():
    # Blocks a, b: errors 1 + 2 and 6, words 10 + 10 and 10. WER 9 / 30 = 0.3. Residuals 3 - 0.3 · 20 = -3 and
    # 6 - 0.3 · 10 = 3; standard error sqrt(2 / (2 - 1) · (9 + 9)) / 30 = 6 / 30 = 0.2.
    resample = draw_blocks(["a", "a", "b"], n_replicates=200)
    replicates = resample_ratio([[1, 2, 6]], [10, 10, 10], resample)
    assert replicates.estimates.tolist() == [0.3]
    assert replicates.standard_errors == pytest.approx([0.2])
    # Drawn are a twice (3/20), b twice (6/10), or both (9/30).
    assert sorted(set(replicates.values[:, 0].tolist())) == [0.15, 0.3, 0.6]
    # One block drawn twice has no spread: its deviation is without bound, and with both drawn there is none.
    assert sorted(set(replicates.pivots[:, 0].tolist())) == [-np.inf, 0.0, np.inf]


def test_pivots_equal_a_studentised_replicate_computed_alone():
    rng = np.random.default_rng(5)
    words, errors = rng.integers(5, 36, 60), rng.integers(0, 6, 60)
    of = np.repeat(np.arange(12), 5)
    resample = draw_blocks([str(s) for s in of], n_replicates=40)
    replicates = resample_ratio([errors], words, resample)
    n, d = np.bincount(of, errors), np.bincount(of, words)
    for row, weights in enumerate(np.concatenate(list(resample.weights()))):
        drawn = np.repeat(np.arange(12), weights.astype(int))
        rate = n[drawn].sum() / d[drawn].sum()
        error = np.sqrt(12 / 11 * ((n[drawn] - rate * d[drawn]) ** 2).sum()) / d[drawn].sum()
        assert replicates.values[row, 0] == pytest.approx(rate)
        assert replicates.pivots[row, 0] == pytest.approx(np.log(rate / (n.sum() / d.sum())) / (error / rate))


def test_differences_are_paired():
    # Both points find the same speakers hard, so each varies much more than their difference.
    speakers, words, first, second = simulate(40)
    points = [first[0], second[0]]
    resample = draw_blocks(speakers, n_replicates=2000)
    rates = resample_ratio(points, words, resample)
    difference = resample_ratio_difference(points, words, resample, reference=0)
    np.testing.assert_allclose(difference.values, rates.values - rates.values[:, [0]], atol=1e-15)
    assert difference.values[:, 1].std() < 0.7 * rates.values[:, 1].std()
    assert intervals(difference)[0] == Interval(0.0, 0.0, 0.95, 0.0)


class EdgeKernel(np.ndarray):
    """Weights whose matrix product adds every second column up in another order, as a product may at its edges."""

    def __matmul__(self, columns):
        product = np.asarray(self) @ columns
        product[:, ::2] = np.nextafter(product[:, ::2], np.inf)
        return product


def test_equal_points_are_equal_in_every_replicate_though_products_round(monkeypatch):
    resample = draw_blocks([str(i % 25) for i in range(400)], n_replicates=500)
    weights = np.concatenate(list(resample.weights())).view(EdgeKernel)
    monkeypatch.setattr(Resample, "weights", lambda self: iter([weights]))
    costs = np.tile(np.random.default_rng(0).random(400) * 1e12 / 3, (9, 1))
    costs[4] = 1
    replicates = resample_mean(costs, resample)
    equal = [0, 1, 2, 3, 5, 6, 7, 8]
    for values in (replicates.values, replicates.inflated()):
        np.testing.assert_array_equal(values[:, equal], np.broadcast_to(values[:, [0]], (500, 8)))


def test_references_without_words_have_no_rate():
    resample = draw_blocks([str(i % 25) for i in range(50)], n_replicates=100)
    replicates = resample_ratio(np.ones((1, 50)), np.zeros(50), resample)
    interval = intervals(replicates)[0]
    assert np.isnan([interval.low, interval.high, interval.estimate]).all()


def test_replicates_without_words_are_left_out():
    # Only speaker 0 of three has reference words: (2/3)^3 = 8/27 of replicates have none, whatever was inserted there.
    words = np.array([10, 0, 0] * 10)
    resample = draw_blocks([str(i % 3) for i in range(30)])
    replicates = resample_ratio([words / 5, np.ones(30)], words, resample)
    assert np.isnan(replicates.values).mean(axis=0) == pytest.approx([8 / 27, 8 / 27], abs=0.02)
    assert not np.isinf(replicates.values).any()
    # All other replicates have the rate of speaker 0.
    assert intervals(replicates)[0] == Interval(0.2, 0.2, 0.95, 0.2)


def test_a_point_not_measured_leaves_the_others_alone():
    errors = np.array([[1.0, 2.0] * 20, [1.0, np.nan] * 20])
    resample = draw_blocks([str(i % 25) for i in range(40)], n_replicates=200)
    both = intervals(resample_ratio(errors, np.full(40, 10), resample))
    assert both[0] == intervals(resample_ratio(errors[:1], np.full(40, 10), resample))[0]
    assert np.isnan(both[1].high)


def test_counts_must_fit_the_utterances():
    resample = draw_blocks(["a", "b"], n_replicates=10)
    with pytest.raises(UsageError, match="do not fit 2"):
        resample_ratio([[1, 2, 3]], [1, 2], resample)
    with pytest.raises(UsageError, match="do not fit 2"):
        resample_ratio([[1, 2]], [1, 2, 3], resample)


def test_one_differing_utterance_proves_nothing():
    # The second point makes one error more. Raw replicates never put it ahead of the first; the widened ones do in
    # some: where that utterance is not drawn (share 1/e) the two are equal and the factor decides, half of the time.
    errors = np.zeros((2, 1000))
    errors[:, ::7], errors[1, 3] = 1, 1
    replicates = resample_ratio(errors, np.full(1000, 10), draw_blocks([None] * 1000, blocked=False))
    assert (replicates.values[:, 0] <= replicates.values[:, 1]).all()
    inflated = replicates.inflated()
    assert np.mean(inflated[:, 0] > inflated[:, 1]) == pytest.approx(0.5 / np.e, abs=0.02)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_higher_levels_reach_further(level):
    speakers, words, first, _ = simulate(40)
    replicates = resample_ratio(first[:1], words, draw_blocks(speakers, n_replicates=2000))
    interval, wider = intervals(replicates, level)[0], intervals(replicates, level + 0.005)[0]
    assert wider.low < interval.low < interval.estimate < interval.high < wider.high
    assert interval.level == level
