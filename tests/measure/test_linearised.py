import numpy as np
import pytest

from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio
from allophone.measure.intervals import intervals
from allophone.measure.linearised import Linearised, resample_linearised


def of_ratio(errors, words, freedom):
    """A plain ratio of sums by its contributions."""
    rates = errors.sum(axis=1) / words.sum()
    contributions = (errors - rates[:, None] * words) / words.sum()
    return Linearised(rates, contributions, np.zeros_like(contributions), 10, freedom)


def problem(n=400, seed=0):
    rng = np.random.default_rng(seed)
    words = rng.integers(5, 30, n).astype(float)
    errors = rng.binomial(words.astype(int), 0.1, (2, n)).astype(float)
    return errors, words, draw_blocks([f"s{i}" for i in range(n)], n_replicates=4000)


def test_a_ratio_by_its_contributions_has_the_bootstrap_s_interval():
    errors, words, resample = problem()
    linear = intervals(resample_linearised(of_ratio(errors, words, 399.0), resample))
    direct = intervals(resample_ratio(errors, words, resample))
    for one, other in zip(linear, direct, strict=True):
        assert one.estimate == other.estimate
        assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.05)


def test_few_degrees_of_freedom_give_student_s_quantile():
    errors, words, resample = problem()
    linearised = of_ratio(errors, words, 4.0)
    found = intervals(resample_linearised(linearised, resample))[0]
    reach = 2.776 * np.sqrt((linearised.contributions[0] ** 2).sum())  # t with 4 degrees, 97.5 %
    assert (found.high - found.low) / 2 == pytest.approx(reach, rel=0.06)
    assert found.high - found.estimate == pytest.approx(found.estimate - found.low)


def test_a_difference_has_its_own_spread_and_may_be_negative():
    errors, words, resample = problem()
    errors[1] = errors[0] + (np.arange(400) % 10 == 0)
    difference = of_ratio(errors, words, 399.0).difference(1)
    found = intervals(resample_linearised(difference, resample))
    assert found[0].high < 0
    assert found[1].low == found[1].high == 0
    assert (found[0].high - found[0].low) < 0.5 * (
        intervals(resample_linearised(of_ratio(errors, words, 399.0), resample))[0].high - found[0].estimate
    ) * 2


def test_variances_part_into_what_more_transcripts_lower_and_the_rest():
    resample = draw_blocks(["a", "a", "b"], n_replicates=10)
    linearised = Linearised(
        np.zeros(1), np.array([[1.0, 2.0, -1.0]]), np.array([[0.5, 0.5, 0.0]]), n_transcripts=2, freedom=1.0
    )
    whole, sample = linearised.variances(resample)
    assert whole == pytest.approx([3**2 + 1])
    assert sample == pytest.approx([1])
