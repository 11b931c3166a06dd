import random

import pytest

from allophone.errors import SpaceError
from allophone.measure.error_breakdown import (
    ERROR_KINDS,
    break_down_errors,
    count_repeats,
    repeats_phrase,
    sum_breakdowns,
)
from allophone.measure.wer import count_word_errors


def kinds(reference, hypothesis, **options):
    found = break_down_errors(reference, hypothesis, normalizer="none", **options)
    return {kind: count for kind, count in found.errors.items() if count}


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a b c", "a b c", {}),
        ("", "", {}),
        ("a b c", "a x c", {"substitutions": 1}),
        ("a\nb\u3000c", "a x\tc", {"substitutions": 1}),  # white space of any kind parts words
        ("a b c d e", "a b c", {"end_deletions": 2}),
        ("a b c d e", "a b d e", {"other_deletions": 1}),
        ("a b c d", "a b d", {"other_deletions": 1}),
        ("a b c", "", {"lost_deletions": 3}),
        ("", "thank you", {"silence_insertions": 2}),
        ("", "you you you you", {"silence_insertions": 4}),  # looped or not, nobody spoke
        ("a b", "a x b", {"other_insertions": 1}),
        ("a b", "a x y b", {"other_insertions": 2}),
        ("a b", "a x y z b", {"run_insertions": 3}),
        ("a b", "a b b b b", {"loop_insertions": 3}),
        ("a b b b b", "a b b b b c", {"other_insertions": 1}),  # the reference says it too
    ],
)
def test_every_error_has_one_kind(reference, hypothesis, expected):
    assert kinds(reference, hypothesis) == expected


def test_compression_and_the_cap_on_tokens_are_signs_of_a_loop():
    for options in ({"compression_ratio": 2.41}, {"truncated": True}):
        assert kinds("a b", "a b x y z", **options) == {"loop_insertions": 3}
    assert kinds("a b", "a b x y z", compression_ratio=2.4) == {"run_insertions": 3}
    assert break_down_errors("a b", "a b", compression_ratio=3.0).loops
    assert not break_down_errors("a b", "a b", compression_ratio=None).loops


def test_texts_are_normalised_first():
    assert sum(break_down_errors("Mr. Brown's COLOUR", "mister brown is color").errors.values()) == 0
    assert sum(break_down_errors("Hello, World!", "hello world").errors.values()) == 0
    with pytest.raises(SpaceError, match="unknown normalizer"):
        break_down_errors("a", "b", normalizer="german")  # type: ignore[arg-type]


def test_the_kinds_add_up_to_the_errors_that_the_rate_counts():
    rng = random.Random(0)
    for _ in range(300):
        said = " ".join(rng.choices("abcd", k=rng.randrange(8)))
        heard = " ".join(rng.choices("abcd", k=rng.randrange(12)))
        found, counted = break_down_errors(said, heard, normalizer="none"), count_word_errors(said, heard, "none")
        by_family = dict.fromkeys(("substitutions", "insertions", "deletions"), 0)
        for kind in ERROR_KINDS:
            by_family[kind.split("_")[-1]] += found.errors[kind]
        assert by_family == {
            "substitutions": counted.substitutions,
            "insertions": counted.insertions,
            "deletions": counted.deletions,
        }
        assert found.words == counted.reference_words
        assert sum(found.substitutions_by_length) == counted.substitutions


def test_substitutions_are_counted_by_the_length_of_the_word_said():
    # said: 2, 4, 6, 7 letters; wrong: the 4 and the 7
    total = sum_breakdowns([break_down_errors("to four sixsix seveneu", "to fear sixsix seven", normalizer="none")])
    assert [(group.words, group.errors) for group in total.by_length] == [(1, 0), (2, 1), (1, 1)]
    assert total.by_length[1].rate == 0.5


def test_sums_count_words_and_utterances():
    total = sum_breakdowns(
        [
            break_down_errors("a b", "a b b b b", normalizer="none"),
            break_down_errors("a b c", "a x c", normalizer="none"),
            break_down_errors("", "you", normalizer="none"),
        ]
    )
    assert (total.utterances, total.words, total.total) == (3, 5, 5)
    assert (total.looping, total.silent) == (1, 1)
    assert total.errors["loop_insertions"] == 3
    assert total.utterances_with["loop_insertions"] == 1
    assert total.utterances_with["run_insertions"] == 0


def test_speakers_are_ranked_by_rate_and_a_quarter_is_at_least_one():
    rows = [
        break_down_errors("a b c d", " ".join("x" * k + "abcd"[k:]), normalizer="none", speaker=f"s{k}")
        for k in range(5)
    ]
    best, worst = sum_breakdowns(rows).by_speaker
    assert (best.speakers, best.errors, best.words) == (1, 0, 4)
    assert (worst.speakers, worst.errors, worst.rate) == (1, 4, 1.0)
    eight = [break_down_errors("a", "x" if k < 3 else "a", normalizer="none", speaker=f"s{k}") for k in range(8)]
    best, worst = sum_breakdowns(eight).by_speaker
    assert (best.errors, best.speakers, worst.errors, worst.speakers) == (0, 2, 2, 2)


def test_one_speaker_or_none_named_is_no_comparison():
    for speaker in ("s", None):
        assert sum_breakdowns([break_down_errors("a", "x", speaker=speaker)] * 3).by_speaker is None


def test_noise_is_grouped_where_it_was_measured():
    assert sum_breakdowns([break_down_errors("a", "x")]).by_snr is None
    rows = [break_down_errors("a", "x" if snr < 5 else "a", snr_db=snr) for snr in (-3.0, 4.9, 5.0, 15.0, 30.0)]
    assert [(group.utterances, group.errors) for group in sum_breakdowns(rows).by_snr] == [(2, 2), (1, 0), (2, 0)]


def test_nothing_sums_to_nothing():
    total = sum_breakdowns([])
    assert (total.utterances, total.words, total.total, total.by_speaker, total.by_snr) == (0, 0, 0, None, None)
    assert [group.rate for group in total.by_length] == [0.0, 0.0, 0.0]


def test_points_differ_in_the_kind_that_moves_the_total():
    good = sum_breakdowns([break_down_errors("a b c", "a x c", normalizer="none")])
    looping = sum_breakdowns([break_down_errors("a b c", "a b c c c c", normalizer="none")])
    assert good.differs_in(looping) == "loop_insertions"  # 3 more, though 1 substitution fewer
    assert looping.differs_in(good) == "loop_insertions"
    assert good.differs_in(good) is None


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
    assert repeats_phrase(["no"] * 3, ["no"])
    assert not repeats_phrase(["no"] * 2, ["no"])
    assert not repeats_phrase(["no"] * 3, ["no"] * 3)
    assert repeats_phrase(["no"] * 4, ["no"] * 3)
