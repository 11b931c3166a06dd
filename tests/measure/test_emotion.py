"""Rates under their own names: worked examples, undefined cases, and intervals by speaker."""

import numpy as np
import pytest

from allophone.errors import UsageError
from allophone.measure.emotion import recognise, uar_interval

LABELS = ("a", "b", "c")


def test_uar_wa_and_macro_f1_differ():
    # a: 8 of 10 right, b: 1 of 2, c: 0 of 1 (taken for a). Decisions for a: 8 + 1 + 1 = 10, for b 2 + 1 = 3, for c 0.
    references = [0] * 10 + [1] * 2 + [2]
    decisions = [0] * 8 + [1] * 2 + [1, 0] + [0]
    found = recognise(references, decisions, LABELS)
    assert found.confusion.tolist() == [[8, 2, 0], [1, 1, 0], [1, 0, 0]]
    assert found.recalls.tolist() == [0.8, 0.5, 0.0]
    assert found.uar == pytest.approx(1.3 / 3)
    assert found.wa == pytest.approx(9 / 13)
    # F1 = 2·hits / (references + decisions): 16/20, 2/5, 0/1
    assert found.f1.tolist() == [0.8, 0.4, 0.0]
    assert found.macro_f1 == pytest.approx(0.4)


def test_an_absent_class_has_no_recall_and_is_left_out():
    found = recognise([0, 0, 1], [0, 1, 1], LABELS)
    assert np.isnan(found.recalls[2])
    assert found.absent == ("c",)
    assert found.uar == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3) / 2)  # c is in neither: no F1


def test_a_class_that_is_only_decided_for_counts_in_f1():
    found = recognise([0, 0], [0, 2], LABELS)
    assert found.uar == 0.5
    assert np.isnan(found.f1[1])
    assert found.f1[2] == 0
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_nothing_at_all_is_nan():
    found = recognise([], [], LABELS)
    assert np.isnan([found.uar, found.wa, found.macro_f1]).all()


@pytest.mark.parametrize(("references", "decisions"), [([0], [0, 1]), ([3], [0]), ([0], [-1]), ([[0]], [[0]])])
def test_counts_that_do_not_fit(references, decisions):
    with pytest.raises(UsageError):
        recognise(references, decisions, LABELS)


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
