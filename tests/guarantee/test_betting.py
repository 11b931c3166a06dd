"""Tests by betting: exact capital, its expectation over all outcomes, and validity with rare huge losses."""

from itertools import product
from math import prod

import numpy as np
import pytest

from allophone.guarantee import betting
from allophone.guarantee.betting import Stakes, set_stakes


def e_values(losses, stake):
    """At equal stakes."""
    return betting.e_values(losses, Stakes(np.full(np.shape(losses)[-1], stake), 0.0))


def needed_speakers(losses, stake, alpha):
    return betting.needed_speakers(losses, Stakes(np.full(len(losses), stake), 0.0), alpha)


def test_the_capital_is_the_mean_of_the_products_of_every_bet():
    # bets 1, 1/2, 1/4, 1/8, 1/16 on losses of -1 and -1/2 of the bound, half of the capital on the first and so on
    expected = 2 * 1.5 / 2 + 1.5 * 1.25 / 4 + 1.25 * 1.125 / 8 + 1.125 * 1.0625 / 16 + 1.0625 * 1.03125 / 16
    assert e_values([-4.0, -2.0], 4.0) == pytest.approx(expected, rel=1e-12)


def test_a_greatest_loss_takes_all_of_the_greatest_bet_and_no_more():
    without = 0 / 2 + 0.5 / 4 + 0.75 / 8 + 0.875 / 16 + 0.9375 / 16
    assert e_values([4.0], 4.0) == pytest.approx(without, rel=1e-12)


def test_many_points_are_tested_at_once_and_in_no_order():
    rng = np.random.default_rng(0)
    losses = rng.uniform(-2, 3, (5, 40))
    found = e_values(losses, 3.0)
    assert found.shape == (5,)
    np.testing.assert_allclose(found, e_values(losses[:, ::-1], 3.0))
    for row, value in zip(losses.tolist(), found.tolist(), strict=True):
        shares = ((1, 0.5), (0.5, 0.25), (0.25, 0.125), (0.125, 0.0625), (0.0625, 0.0625))
        by_hand = sum(share * prod(1 - bet * loss / 3 for loss in row) for bet, share in shares)
        assert value == pytest.approx(by_hand)


def test_the_capital_of_very_many_speakers_is_finite():
    assert np.isfinite(e_values(np.full(100_000, -1.0), 1.0))
    assert e_values([*[-1.0] * 1000, *[0.9] * 3000], 1.0) == pytest.approx(0.0, abs=1e-12)


# Two outcomes a speaker: (chance of the great loss, great loss, small loss); expectations that sum to zero.
NULLS = {
    "alike": [(0.1, 9.0, -1.0)] * 8,
    "rare and huge": [(0.01, 9.9, -0.1)] * 8,
    "unlike": [(0.5, 3.0, -1.0), (0.5, 1.0, -3.0)] * 4,  # expectations of 1 and -1
    "certain": [(0.5, -2.0, -2.0), (0.5, 2.0, 2.0)] * 4,
    "late": [(0.2, 1.0, -1.5)] * 4 + [(0.2, 10.0, -1.25)] * 4,  # expectations of -1 and 1
}


@pytest.mark.parametrize("case", NULLS)
def test_at_the_limit_the_expected_capital_is_one_at_most_over_all_outcomes(case):
    speakers = NULLS[case]
    assert sum(p * great + (1 - p) * small for p, great, small in speakers) == pytest.approx(0, abs=1e-12)
    outcomes = list(product((True, False), repeat=len(speakers)))
    losses = [[s[1] if hit else s[2] for s, hit in zip(speakers, found, strict=True)] for found in outcomes]
    chances = np.array([prod(s[0] if hit else 1 - s[0] for s, hit in zip(speakers, f, strict=True)) for f in outcomes])
    found = e_values(losses, 10.0)
    assert chances @ found <= 1 + 1e-12
    if case in {"alike", "rare and huge"}:
        assert chances @ found == pytest.approx(1)
    for alpha in (0.3, 0.1, 0.05):
        assert chances[found >= 1 / alpha].sum() <= alpha


def test_rejects_the_true_null_as_rarely_as_promised_where_few_speakers_lose_everything():
    rng = np.random.default_rng(1)
    n_corpora = 4000
    greatest = 0.0
    for n_speakers in (5, 28, 125):
        for chance in (0.001, 0.02, 0.1, 1 - 0.024 ** (1 / n_speakers)):
            usual = -100 * chance / (1 - chance)  # so that the expectation is zero
            losses = np.where(rng.random((n_corpora, n_speakers)) < chance, 100.0, usual)
            share = np.mean(e_values(losses, 100.0) >= 20)
            assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_corpora)
            greatest = max(greatest, share)
    assert greatest > 0.015  # not because nothing is ever rejected


def test_a_plug_in_test_of_the_normal_distribution_would_not_have_kept_that():
    rng = np.random.default_rng(1)
    losses = np.where(rng.random((4000, 28)) < 0.02, 100.0, -100 * 0.02 / 0.98) + 1e-9 * rng.random((4000, 28))
    t = losses.mean(axis=1) / (losses.std(axis=1, ddof=1) / np.sqrt(28))
    assert np.mean(t < -1.703) > 0.5


@pytest.mark.parametrize("gain", [0.05, 0.3, 0.9])
def test_as_many_speakers_as_are_said_to_be_needed_are_enough(gain):
    needed = int(needed_speakers([-gain] * 7, 1.0, 0.05))
    assert e_values([-gain] * needed, 1.0) >= 20
    assert e_values([-gain] * int(0.75 * needed - 1), 1.0) < 20


def test_no_number_of_speakers_is_enough_at_or_above_the_limit():
    assert needed_speakers([0.0, 0.0], 1.0, 0.05) == np.inf
    assert needed_speakers([-1.0, 1.0], 1.0, 0.05) == np.inf
    assert needed_speakers([-1.0, 0.5], 1.0, 0.05) < np.inf


def test_a_speaker_who_can_lose_little_has_a_lower_stake_where_that_is_worth_its_price():
    greatest, hoped = np.array([*[1.0] * 30, 3.0]), np.full(31, 0.1)
    found = set_stakes(greatest, hoped)
    assert found.stakes.tolist() == greatest.tolist()
    # AM = 33 / 31, GM = 3^(1 / 31)
    assert found.log_price == pytest.approx(31 * np.log(33 / 31) - np.log(3))
    assert betting.e_values(-hoped, found) > 2 * e_values(-hoped, 3.0)
    even = set_stakes(np.linspace(1, 1.1, 30), np.zeros(30))  # no gain is hoped for: no price is worth paying
    assert even.stakes.tolist() == [1.1] * 30
    assert even.log_price == pytest.approx(0, abs=1e-9)


def test_unlike_stakes_are_paid_for_over_all_outcomes():
    # Who can lose much is expected to lose, all others to gain: at a price of 1 the expected capital would be above 1.
    speakers = [(0.5, 1.0, -1.5)] * 6 + [(0.5, 4.0, -1.25)] + [(0.5, 2.0, -1.75)]
    stakes = set_stakes([s[1] for s in speakers], [0.5] * 8)
    assert sum(p * great + (1 - p) * small for p, great, small in speakers) == pytest.approx(0, abs=1e-12)
    outcomes = list(product((True, False), repeat=8))
    losses = [[s[1] if hit else s[2] for s, hit in zip(speakers, found, strict=True)] for found in outcomes]
    found = betting.e_values(losses, stakes)
    assert found.mean() <= 1
    assert found.mean() * np.exp(stakes.log_price) > 1
    for alpha in (0.3, 0.1, 0.05):
        assert np.mean(found >= 1 / alpha) <= alpha


def test_nothing_is_staked_where_a_loss_has_no_bound():
    assert betting.e_values([-1.0, -5.0], set_stakes([np.inf, 2.0], [1.0, 1.0])) == 1.0
    assert betting.needed_speakers([-1.0, -5.0], set_stakes([np.inf, 2.0], [1.0, 1.0]), 0.05) == np.inf


@pytest.mark.parametrize("greatest", [[], [0.0, 0.0], [-1.0]])
def test_refuses_stakes_where_nobody_can_lose(greatest):
    with pytest.raises(ValueError, match="who can lose"):
        set_stakes(greatest, np.zeros(len(greatest)))


def test_refuses_a_loss_that_was_impossible():
    with pytest.raises(ValueError, match="greater than its stake"):
        e_values([1.5], 1.0)
