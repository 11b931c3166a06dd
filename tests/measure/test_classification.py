"""Rates under their own names: worked examples, undefined cases, and intervals by speaker."""

import numpy as np
import pytest
import scipy.stats

from allophone.errors import UsageError
from allophone.measure.blocks import draw_blocks
from allophone.measure.classification import count_confusions, resample_uar, uar_interval
from allophone.measure.intervals import intervals

LABELS = ("a", "b", "c")


def test_uar_wa_and_macro_f1_differ():
    # a: 8 of 10 right, b: 1 of 2, c: 0 of 1 (taken for a). Decisions for a: 8 + 1 + 1 = 10, for b 2 + 1 = 3, for c 0.
    references = [0] * 10 + [1] * 2 + [2]
    decisions = [0] * 8 + [1] * 2 + [1, 0] + [0]
    found = count_confusions(references, decisions, LABELS)
    assert found.confusion.tolist() == [[8, 2, 0], [1, 1, 0], [1, 0, 0]]
    assert found.recalls.tolist() == [0.8, 0.5, 0.0]
    assert found.uar == pytest.approx(1.3 / 3)
    assert found.wa == pytest.approx(9 / 13)
    # F1 = 2·hits / (references + decisions): 16/20, 2/5, 0/1
    assert found.f1.tolist() == [0.8, 0.4, 0.0]
    assert found.macro_f1 == pytest.approx(0.4)


def test_an_absent_class_has_no_recall_and_is_left_out():
    found = count_confusions([0, 0, 1], [0, 1, 1], LABELS)
    assert np.isnan(found.recalls[2])
    assert found.absent == ("c",)
    assert found.uar == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)  # c is in neither: no F1


def test_a_class_that_is_only_decided_for_counts_in_f1():
    found = count_confusions([0, 0], [0, 2], LABELS)
    assert found.uar == 0.5
    assert np.isnan(found.f1[1])
    assert found.f1[2] == 0
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_nothing_at_all_is_nan():
    found = count_confusions([], [], LABELS)
    assert np.isnan([found.uar, found.wa, found.macro_f1]).all()


@pytest.mark.parametrize(("references", "decisions"), [([0], [0, 1]), ([3], [0]), ([0], [-1]), ([[0]], [[0]])])
def test_counts_that_do_not_fit(references, decisions):
    with pytest.raises(UsageError):
        count_confusions(references, decisions, LABELS)


def test_the_interval_draws_speakers():
    # Two kinds of speakers, always right or always wrong: utterances would say 0.5 ± 0.05, twenty speakers 0.5 ± 0.2.
    speakers = [f"s{n // 20}" for n in range(400)]
    references = [n % 2 for n in range(400)]
    decisions = [r if int(s[1:]) % 2 else 1 - r for r, s in zip(references, speakers, strict=True)]
    interval, warning = uar_interval(references, decisions, speakers)
    assert interval.estimate == 0.5
    assert 0.15 < interval.high - 0.5 < 0.3
    assert warning is None


def test_an_interval_of_few_speakers_ends_at_one():
    # Two speakers with UAR 0.9 and 1: widened for two blocks, the interval would reach beyond.
    decisions = [0] * 9 + [1] + [0] * 10
    interval, warning = uar_interval([0] * 20, decisions, ["a"] * 10 + ["b"] * 10)
    assert interval.high == 1
    assert 0 <= interval.low < 0.9
    assert "Only 2 speakers" in warning


def test_recall_intervals_cover_with_40_speakers():
    # Four classes with recalls 0.5 to 0.8, moved by up to 0.15 per speaker: the true unweighted mean is 0.65.
    rng = np.random.default_rng(0)
    of, labels = np.repeat(np.arange(40), 12), np.arange(480) % 4
    moved = rng.uniform(-0.15, 0.15, (1000, 40))[:, of]
    hits = rng.random((1000, 480)) < np.array([0.5, 0.6, 0.7, 0.8])[labels] + moved
    resample = draw_blocks([str(s) for s in of], n_replicates=2000)
    covered = np.mean([i.contains(0.65) for i in intervals(resample_uar(hits, labels, resample))])
    assert 0.93 <= covered <= 0.97


def test_uar_agrees_with_scipy_on_independent_utterances():
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat([0, 1, 2], [200, 70, 30]))
    hits = rng.random(300) < np.array([0.9, 0.6, 0.5])[labels]
    resample = draw_blocks([None] * 300, blocked=False)

    def uar(hit, label, axis):
        return np.mean([np.sum(hit * (label == c), axis) / np.sum(label == c, axis) for c in range(3)], axis=0)

    replicates = resample_uar([hits], labels, resample)
    expected = scipy.stats.bootstrap(
        (hits, labels), uar, paired=True, n_resamples=10_000, method="percentile", random_state=np.random.default_rng(1)
    )
    assert replicates.estimates[0] == uar(hits, labels, 0)
    assert replicates.values[:, 0].std(ddof=1) == pytest.approx(expected.standard_error, rel=0.03)
    interval = intervals(replicates)[0]
    ends = expected.confidence_interval
    assert [interval.low, interval.high] == pytest.approx(ends, abs=0.1 * expected.standard_error)


def test_uar_leaves_out_classes_that_a_replicate_lacks():
    # Speaker a has only angry utterances, all right, and b only calm ones, half right: 1, 0.5, or their mean.
    hits, labels = [[1, 1, 1, 0]], ["angry", "angry", "calm", "calm"]
    replicates = resample_uar(hits, labels, draw_blocks(["a", "a", "b", "b"], n_replicates=100))
    assert replicates.estimates.tolist() == [0.75]
    assert sorted(set(replicates.values[:, 0].tolist())) == [0.5, 0.75, 1.0]


def test_a_point_not_measured_leaves_the_others_alone():
    resample = draw_blocks(["a", "b"] * 15, n_replicates=50)
    hits = np.array([[1.0, 0.0, 1.0] * 10, [1.0, np.nan, 1.0] * 10])
    replicates = resample_uar(hits, ["x", "y", "z"] * 10, resample)
    assert replicates.estimates[0] == pytest.approx(2 / 3)
    assert np.isnan(replicates.estimates[1])
    assert np.isnan(replicates.values[:, 1]).all()


def test_counts_must_fit_the_utterances():
    resample = draw_blocks(["a", "b"], n_replicates=10)
    with pytest.raises(UsageError, match="do not fit 2"):
        resample_uar([1, 0], ["x", "y"], resample)
    with pytest.raises(UsageError, match="labels"):
        resample_uar([[1, 0]], ["x", "y", "z"], resample)


def test_no_interval_leaves_what_a_recall_can_be():
    # Three speakers, one of whom is always recognised: widened for so few blocks, an unbounded interval passes 1.
    speakers, labels = ["a"] * 4 + ["b"] * 4 + ["c"] * 4, [0, 1] * 6
    hits = np.array([[1] * 8 + [0] * 4, [0] * 8 + [1] * 4])
    resample = draw_blocks(speakers, n_replicates=500)
    found = resample_uar(hits, labels, resample)
    inflated = found.inflated()
    assert inflated[:, 0].max() > 1
    assert inflated[:, 1].min() < 0
    high, low = intervals(found)
    assert high.high == 1.0
    assert low.low == 0.0
