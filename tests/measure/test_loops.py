import pytest

from allophone.measure.loops import count_repeats, says_again


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("", 1),
        ("a", 1),
        ("a b c", 1),
        ("a a", 2),
        ("a b a b", 2),
        ("x a b a b a b y", 3),
        ("a b c a b c a b", 2),  # the third time is not finished
        ("a a a a", 4),
        ("a b a a b a", 2),
    ],
)
def test_repeats_in_a_row(text, repeats):
    assert count_repeats(text.split()) == repeats


def test_the_longest_phrase_looked_for_has_ten_words():
    ten, eleven = [str(i) for i in range(10)], [str(i) for i in range(11)]
    assert count_repeats(ten * 3) == 3
    assert count_repeats(eleven * 3) == 1


def test_a_loop_is_three_times_and_not_in_the_reference():
    assert says_again(["no"] * 3, ["no"])
    assert not says_again(["no"] * 2, ["no"])
    assert not says_again(["no"] * 3, ["no"] * 3)
    assert says_again(["no"] * 4, ["no"] * 3)
