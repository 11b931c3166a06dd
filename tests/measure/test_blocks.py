"""Blocks, replicate weights and pairing."""

import numpy as np
import pytest

from allophone.errors import UsageError
from allophone.measure.blocks import draw_blocks


def all_weights(resample):
    return np.concatenate(list(resample.weights()))


def speakers(n_speakers, utterances_each):
    return [f"speaker-{s}" for s in range(n_speakers) for _ in range(utterances_each)]


def test_speakers_are_blocks_in_order_of_appearance():
    resample = draw_blocks(["b", "a", "b", "c"] * 20)
    assert resample.blocks.tolist()[:4] == [0, 1, 0, 2]
    assert resample.n_blocks == 3
    assert resample.blocked


def test_weights_draw_as_many_blocks_as_there_are():
    resample = draw_blocks(speakers(30, 5), n_replicates=4000)
    weights = all_weights(resample)
    assert weights.shape == (4000, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == np.round(weights)).all()
    # Multinomial with 30 draws of probability 1/30: mean 1, variance 30 · (1/30) · (29/30) = 29/30, and two different
    # blocks have covariance -1/30. Over 120,000 weights the standard error of the variance is about 0.005.
    assert weights.var() == pytest.approx(29 / 30, abs=0.02)
    assert np.cov(weights.T)[np.triu_indices(30, 1)].mean() == pytest.approx(-1 / 30, abs=0.002)


def test_weights_are_the_same_at_every_call_and_differ_by_seed():
    resample = draw_blocks(speakers(30, 5), n_replicates=50, seed=1)
    np.testing.assert_array_equal(all_weights(resample), all_weights(resample))
    other = draw_blocks(speakers(30, 5), n_replicates=50, seed=2)
    assert (all_weights(resample) != all_weights(other)).any()


def test_weights_come_in_chunks_of_bounded_size():
    # 2**18 weights of 3,000 blocks are 87 replicates, so 200 replicates are chunks of 87, 87 and 26. At 100,000 blocks
    # a chunk keeps its least size of 64 replicates.
    resample = draw_blocks([None] * 3000, n_replicates=200)
    assert [len(weights) for weights in resample.weights()] == [87, 87, 26]
    assert len(next(draw_blocks([None] * 100_000, n_replicates=200).weights())) == 64


def test_stretch_widens_a_normal_deviation_to_students_t():
    # With 5 blocks: 4/5 of the variance between replicates, times 5 / chi2(4), is a t of 4 degrees of freedom, whose
    # 97.5 % point is 2.776.
    resample = draw_blocks(speakers(5, 10), n_replicates=400_000)
    normal = np.sqrt(4 / 5) * np.random.default_rng(3).standard_normal(400_000)
    assert np.quantile(normal * resample.small_sample_factor(), 0.975) == pytest.approx(2.776, abs=0.03)
    # It tends to 1: its standard deviation is about 1 / sqrt(2 · 5000) = 0.01.
    many = draw_blocks([None] * 5000).small_sample_factor()
    assert many.mean() == pytest.approx(1, abs=0.001)
    assert many.std() == pytest.approx(0.01, abs=0.001)


def test_block_sums_by_hand():
    resample = draw_blocks(["b", "a", "b", None] * 5)
    # Blocks: b, a, and five nameless ones. Values 0 to 19: b has 0, 2, 4, 6, ... of each four the first and third.
    sums = resample.block_sums([list(range(20))])
    b = sum(4 * i + 4 * i + 2 for i in range(5))  # 90
    a = sum(4 * i + 1 for i in range(5))  # 45
    assert sums.tolist() == [[b], [a], [3], [7], [11], [15], [19]]
    with pytest.raises(UsageError, match="do not fit 20"):
        resample.block_sums([[1, 2, 3]])
    with pytest.raises(UsageError, match="do not fit 20"):
        resample.block_sums(np.zeros(20))


def test_enough_speakers_need_no_warning():
    assert draw_blocks(speakers(20, 1)).warning is None


def test_few_speakers_are_warned_of():
    resample = draw_blocks(speakers(19, 5))
    assert resample.blocked
    assert "Only 19 speakers" in resample.warning


@pytest.mark.parametrize(("names", "reason"), [(["a"] * 30, "one speaker"), ([None] * 30, "names its speaker")])
def test_without_two_speakers_utterances_are_resampled_and_that_is_said(names, reason):
    resample = draw_blocks(names)
    assert not resample.blocked
    assert resample.n_blocks == 30
    assert resample.blocks.tolist() == list(range(30))
    assert reason in resample.warning


def test_utterances_without_speaker_are_blocks_of_their_own():
    resample = draw_blocks(["a", None, "a", None, *speakers(20, 1)])
    assert resample.blocks.tolist()[:4] == [0, 21, 0, 22]
    assert resample.n_blocks == 23
    assert "2 utterances name no speaker" in resample.warning


def test_few_utterances_are_warned_of_whatever_the_blocks():
    assert "Only 19 utterances" in draw_blocks(speakers(19, 1)).warning
    assert "Only 19 utterances" in draw_blocks([None] * 19, blocked=False).warning


def test_unblocked_on_request_needs_no_warning():
    resample = draw_blocks(["a"] * 30, blocked=False)
    assert (resample.blocked, resample.n_blocks, resample.warning) == (False, 30, None)


@pytest.mark.parametrize("wrong", [{"speakers": []}, {"n_replicates": 0}, {"seed": -1}])
def test_nothing_to_draw_is_refused(wrong):
    with pytest.raises(UsageError, match="a bootstrap needs"):
        draw_blocks(**{"speakers": ["a", "b"], **wrong})
