from math import inf

import pytest

from allophone.audio.folders import read_folder
from allophone.errors import SpaceError
from allophone.measure.wer import WordCounts, count_word_errors, load_normalizer, split_words, word_error_rate


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


@pytest.mark.parametrize("space", ["\n", "\t", "\r\n", " \n ", "\u00a0", "\u3000", "\u2028"])
@pytest.mark.parametrize("normalizer", ["none", "basic", "english"])
def test_words_are_parted_by_white_space_of_any_kind(space, normalizer):
    broken = f"{space}hello{space}big world{space}"
    assert split_words(broken, normalizer) == ["hello", "big", "world"]
    assert count_word_errors(broken, "hello big world", normalizer) == WordCounts(3, 0, 0, 0)
    assert count_word_errors("hello big world", broken, normalizer) == WordCounts(3, 0, 0, 0)
    assert count_word_errors("", broken, normalizer) == WordCounts(0, 0, 3, 0)
    assert count_word_errors(space, "", normalizer) == WordCounts(0, 0, 0, 0)


def test_a_transcript_with_line_breaks_scores_like_one_without(tmp_path):
    for name, text in (("one", "so far so good"), ("broken", "so far\nso\tgood\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").touch()
        (tmp_path / name / "a.txt").write_text(text, encoding="utf-8")
    texts = [next(read_folder(tmp_path / name)).text for name in ("one", "broken")]
    heard = "so far and good"
    assert {count_word_errors(text, heard, "none") for text in texts} == {WordCounts(3, 1, 0, 0)}


@pytest.mark.parametrize(
    ("counts", "rate"),
    [((90, 5, 3, 5), 13 / 100), ((0, 0, 0, 0), 0.0), ((0, 0, 2, 0), inf), ((0, 0, 0, 4), 1.0), ((1, 0, 3, 0), 3.0)],
)
def test_rates_are_errors_over_reference_words(counts, rate):
    assert word_error_rate(*counts) == rate


def test_an_unknown_normaliser_names_the_known_ones():
    with pytest.raises(SpaceError, match="unknown normalizer 'klingon'; known: english, basic, none"):
        load_normalizer("klingon")
