"""Unweighted average recall under resampling: coverage, scipy, and classes that a replicate lacks."""

import numpy as np
import pytest
import scipy.stats

from allophone.errors import UsageError
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import intervals
from allophone.measure.recall import resample_uar


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
    widened = found.widened()
    assert widened[:, 0].max() > 1
    assert widened[:, 1].min() < 0
    high, low = intervals(found)
    assert high.high == 1.0
    assert low.low == 0.0
