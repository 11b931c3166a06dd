import numpy as np
import pytest

from allophone.models.word_times import group_words

# Three words of 1, 2 and 1 tokens and a full stop; tokens 0 to 4 begin at positions 2, 5, 6, 9, 11, the end is at 14.
PATH = np.array([[0, 2], [0, 3], [1, 5], [2, 6], [2, 8], [3, 9], [4, 11], [5, 14]])
TEXTS, LENGTHS = [" one", " twenty", " three", "."], [1, 2, 1, 1]


def test_a_word_begins_with_its_first_token_and_ends_where_the_next_begins():
    words = group_words(TEXTS, LENGTHS, PATH, [0.5, 0.2, 0.4, 0.9, 1.0], 0.02)
    assert [word.text for word in words] == [" one", " twenty", " three."]  # the stop joins the word before it
    assert [word.start_s for word in words] == pytest.approx([0.04, 0.10, 0.18])
    assert [word.end_s for word in words] == pytest.approx([0.10, 0.18, 0.22])
    assert [word.probability for word in words] == pytest.approx([0.5, 0.3, 0.9])


def test_a_stride_makes_positions_longer():
    strided = group_words(TEXTS, LENGTHS, PATH, [1.0] * 5, 0.04)
    assert [word.start_s for word in strided] == pytest.approx([0.08, 0.20, 0.36])


def test_nothing_begins_before_the_window():
    (word,) = group_words([" a"], [1], np.array([[0, -1], [1, 0]]), [1.0], 0.02)
    assert (word.start_s, word.end_s) == (0.0, 0.0)
