from math import inf

import pytest

from allophone.errors import SpaceError
from allophone.measure.wer import WordCounts, count_word_errors, load_normalizer, word_error_rate


def test_each_kind_of_error_is_counted_once():
    #   the cat sat on the big mat
    #   the bat sat on     big mat today   cat->bat, the deleted, today inserted
    counts = count_word_errors("the cat sat on the big mat", "the bat sat on big mat today", "none")
    assert counts == WordCounts(hits=5, substitutions=1, insertions=1, deletions=1)
    assert (counts.errors, counts.reference_words) == (3, 7)


def test_the_english_normaliser_forgives_spelling_case_and_punctuation():
    assert count_word_errors("MISTER HALE'S COLOUR", "Mr. Hale's color!").errors == 0
    assert count_word_errors("MISTER HALE", "Mr. Hale", "none").errors == 2


def test_the_basic_normaliser_keeps_other_scripts():
    assert count_word_errors("Über, straße", "über straße", "basic").errors == 0


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("", "", WordCounts(0, 0, 0, 0)),  # silence, and nothing heard
        ("", "thank you", WordCounts(0, 0, 2, 0)),  # a hallucination
        ("hello there", "", WordCounts(0, 0, 0, 2)),
        ("?!", "hello", WordCounts(0, 0, 1, 0)),  # nothing is left of the reference
        ("hello", "?!", WordCounts(0, 0, 0, 1)),
        ("uh", "um", WordCounts(0, 0, 0, 0)),  # fillers are no words to Whisper's normaliser
    ],
)
def test_undefined_cases_are_decided(reference, hypothesis, expected):
    assert count_word_errors(reference, hypothesis) == expected


@pytest.mark.parametrize(
    ("counts", "rate"),
    [((90, 5, 3, 5), 13 / 100), ((0, 0, 0, 0), 0.0), ((0, 0, 2, 0), inf), ((0, 0, 0, 4), 1.0), ((1, 0, 3, 0), 3.0)],
)
def test_rates_are_errors_over_reference_words(counts, rate):
    assert word_error_rate(*counts) == rate


def test_an_unknown_normaliser_names_the_known_ones():
    with pytest.raises(SpaceError, match="unknown normalizer 'klingon'; known: english, basic, none"):
        load_normalizer("klingon")
