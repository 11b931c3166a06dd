"""Intervals against theory (coverage over simulated corpora), against scipy, and where they degenerate."""

import numpy as np
import pytest
import scipy.stats

from allophone.errors import UsageError
from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import (
    Interval,
    Replicates,
    intervals,
    p_beyond,
    resample_mean,
    resample_ratio,
    resample_ratio_difference,
)

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


def test_a_quantile_is_an_order_statistic_rounded_outwards():
    # Number level · (99 + 1) of the 99 pivots 1 to 99: 95 at 0.95, and 95.1 rounds up to 96. NaN do not count. The
    # replicates of 60, widened to 53 to 84, leave that between the bounds.
    resample = draw_blocks([str(i) for i in range(30)], n_replicates=100)
    pivots = np.append(np.random.default_rng(0).permutation(np.arange(1.0, 100.0)), np.nan)[:, None]
    replicates = Replicates(resample, np.zeros(1), np.full((100, 1), 60.0), np.ones(1), pivots, least=-np.inf)
    assert intervals(replicates, 0.95)[0] == Interval(-95.0, 95.0, 0.95, 0.0)
    assert intervals(replicates, 0.951)[0] == Interval(-96.0, 96.0, 0.951, 0.0)


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


def test_intervals_leave_the_replicates_as_they_are():
    replicates = resample_ratio([[1, 2, 6, 1, 3]], np.full(5, 10), draw_blocks(list("abcde"), n_replicates=50))
    before = replicates.values.copy(), replicates.pivots.copy()
    intervals(replicates)
    np.testing.assert_array_equal(replicates.values, before[0])
    np.testing.assert_array_equal(replicates.pivots, before[1])


def test_level_out_of_range_is_refused():
    replicates = resample_mean([[1, 2]], draw_blocks(["a", "b"], n_replicates=10))
    with pytest.raises(ValueError, match="between 0 and 1"):
        intervals(replicates, 95)


def test_no_error_at_all_has_poissons_upper_end():
    # Of 400 words: -ln(0.025) / 400 = 3.689 / 400 = 0.0092. A time of 0 counts nothing and has no such end.
    resample = draw_blocks([str(i % 8) for i in range(40)])
    replicates = resample_ratio(np.zeros((1, 40)), np.full(40, 10), resample)
    assert (replicates.pivots == 0).all()
    interval = intervals(replicates)[0]
    assert (interval.low, interval.estimate) == (0.0, 0.0)
    assert interval.high == pytest.approx(3.689 / 400, rel=1e-3)
    assert intervals(resample_mean(np.zeros((1, 40)), resample))[0].high == 0


def test_blocks_of_one_rate_have_an_interval_without_width():
    # Every speaker makes one error in three words; 1/3 is no binary fraction, so rounding must not pose as spread.
    words = np.array([3, 6, 9, 30] * 10)
    replicates = resample_ratio([words / 3], words, draw_blocks([str(i % 8) for i in range(40)]))
    assert intervals(replicates)[0].high - intervals(replicates)[0].low < 1e-15


@pytest.mark.parametrize(("pivot", "reach"), [(1.0, 1.0), (1.7, 1.7), (np.inf, 2.0)])
def test_studentised_reach_lies_between_the_widened_one_and_twice_that(monkeypatch, pivot, reach):
    # Every replicate deviates by 1, as does its widened one where no factor widens it.
    monkeypatch.setattr(Resample, "small_sample_factor", lambda self: np.ones(self.n_replicates))
    resample = draw_blocks([str(i) for i in range(30)], n_replicates=100)
    values, pivots = np.full((100, 1), 4.0), np.full((100, 1), 0.5 if pivot == 1 else pivot)
    replicates = Replicates(resample, np.full(1, 5.0), values, np.ones(1), pivots)
    assert intervals(replicates)[0] == Interval(5 - reach, 5 + reach, 0.95, 5.0)


def test_errors_of_one_speaker_only_reach_twice_the_widened_replicates():
    # Without that speaker (share (29/30)^30 = 0.36 of replicates) the deviation has no spread to be measured by.
    errors = np.zeros((1, 300))
    errors[0, :10] = 2
    resample = draw_blocks([str(i // 10) for i in range(300)])
    replicates = resample_ratio(errors, np.full(300, 10), resample)
    assert np.isinf(replicates.pivots).mean() == pytest.approx(0.36, abs=0.02)
    interval = intervals(replicates)[0]
    assert interval.low == 0.0
    # The speaker is drawn 0 to 3 times in all but 2 % of replicates; twice the deviation of 3, widened for 30 blocks by
    # up to a fifth: 0.2 / 30 · (1 + 2 · 2 · 1.2) = 0.039.
    assert 0.03 < interval.high < 0.039


@pytest.mark.parametrize("others", [0, 1])
def test_a_difference_that_one_of_eight_speakers_makes_stays_within_what_it_can_be(others):
    # Speaker 0 has 24 errors less in 204 words, the others as many (or one more each): -24 / 1632 = -1.5 points of WER.
    difference = np.zeros((1, 48))
    difference[0, :6] = -4
    difference[0, 6::7] = others
    resample = draw_blocks([str(i // 6) for i in range(48)])
    errors = np.concatenate([np.full((1, 48), 5.0), difference + 5])
    replicates = resample_ratio_difference(errors, np.full(48, 34), resample, reference=0)
    interval = intervals(replicates)[1]
    assert -0.10 < interval.low < -0.04
    assert 0.02 < interval.high < 0.08


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


def test_one_utterance_has_an_estimate_and_no_interval():
    replicates = resample_ratio([[3]], [10], draw_blocks(["a"], n_replicates=10))
    interval = intervals(replicates)[0]
    assert interval.estimate == 0.3
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(replicates.inflated()).all()


def test_counts_must_fit_the_utterances():
    resample = draw_blocks(["a", "b"], n_replicates=10)
    with pytest.raises(UsageError, match="do not fit 2"):
        resample_ratio([[1, 2, 3]], [1, 2], resample)
    with pytest.raises(UsageError, match="do not fit 2"):
        resample_ratio([[1, 2]], [1, 2, 3], resample)


def test_no_error_counted_yet_is_no_proof_that_none_will_be():
    resample = draw_blocks([f"s{place}" for place in range(10)], n_replicates=1000)
    nothing = resample_ratio(np.zeros((1, 10)), np.full(10, 10.0), resample)
    # Poisson: no event of 100 words happens at a rate of -ln(p) / 100 with probability p.
    assert p_beyond(nothing, 0.02)[0] == pytest.approx(np.exp(-2), rel=0.01)
    assert p_beyond(nothing, 0.01)[0] == pytest.approx(np.exp(-1), rel=0.01)
    same = resample_mean(np.full((1, 10), 3.0), resample)
    assert p_beyond(same, 3.0)[0] == pytest.approx(1 / 1001)
