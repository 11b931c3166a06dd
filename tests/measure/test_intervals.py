"""Intervals and p values from replicates."""

import numpy as np
import pytest

from allophone.measure.blocks import Resample, draw_blocks
from allophone.measure.bootstrap import Replicates, resample_mean, resample_ratio, resample_ratio_difference
from allophone.measure.intervals import Interval, intervals, p_beyond


def test_a_quantile_is_an_order_statistic_rounded_outwards():
    # Number level · (99 + 1) of the 99 pivots 1 to 99: 95 at 0.95, and 95.1 rounds up to 96. NaN do not count. The
    # replicates of 60, widened to 53 to 84, leave that between the bounds.
    resample = draw_blocks([str(i) for i in range(30)], n_replicates=100)
    pivots = np.append(np.random.default_rng(0).permutation(np.arange(1.0, 100.0)), np.nan)[:, None]
    replicates = Replicates(resample, np.zeros(1), np.full((100, 1), 60.0), np.ones(1), pivots, least=-np.inf)
    assert intervals(replicates, 0.95)[0] == Interval(-95.0, 95.0, 0.95, 0.0)
    assert intervals(replicates, 0.951)[0] == Interval(-96.0, 96.0, 0.951, 0.0)


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


def test_one_utterance_has_an_estimate_and_no_interval():
    replicates = resample_ratio([[3]], [10], draw_blocks(["a"], n_replicates=10))
    interval = intervals(replicates)[0]
    assert interval.estimate == 0.3
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(replicates.inflated()).all()


def test_no_error_counted_yet_is_no_proof_that_none_will_be():
    resample = draw_blocks([f"s{place}" for place in range(10)], n_replicates=1000)
    nothing = resample_ratio(np.zeros((1, 10)), np.full(10, 10.0), resample)
    # Poisson: no event of 100 words happens at a rate of -ln(p) / 100 with probability p.
    assert p_beyond(nothing, 0.02)[0] == pytest.approx(np.exp(-2), rel=0.01)
    assert p_beyond(nothing, 0.01)[0] == pytest.approx(np.exp(-1), rel=0.01)
    same = resample_mean(np.full((1, 10), 3.0), resample)
    assert p_beyond(same, 3.0)[0] == pytest.approx(1 / 1001)
