from math import inf

import pytest

from allophone.corpora.folders import read_folder
from allophone.errors import SpaceError
from allophone.measure.wer import (
    _UNSPACED,
    WordCounts,
    count_character_errors,
    count_word_errors,
    default_normalizer,
    load_normalizer,
    split_words,
    word_error_rate,
)


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
    with pytest.raises(SpaceError, match="unknown normalizer 'klingon'; known: english, basic, characters, none"):
        load_normalizer("klingon")


@pytest.mark.parametrize("mark", "’‘ʼ＇")
@pytest.mark.parametrize("text", ["don't go", "he's here", "the dogs' tails", "it's o'clock", "we'll see y'all", "I'm"])
def test_a_curly_apostrophe_is_a_straight_one(mark, text):
    assert load_normalizer("english")(text.replace("'", mark)) == load_normalizer("english")(text)
    assert count_word_errors(text.replace("'", mark), text).errors == 0


WORDS = {
    "hindi": "संस्कृतियों",
    "bengali": "বাংলাদেশের",
    "tamil": "தமிழ்நாட்டில்",
    "telugu": "తెలుగువారు",
    "gurmukhi": "ਪੰਜਾਬੀਆਂ",
    "sinhala": "ශ්‍රීලංකාව".replace("\u200d", ""),
    "vocalised arabic": "مُحَمَّدٌ",
    "vocalised hebrew": "שָׁלוֹם",
    "decomposed german": "Mu\u0308ller",
    "greek": "Άνθρωπος",
}


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
def test_a_word_of_any_script_is_one_word(word):
    assert len(split_words(word, "basic")) == 1
    assert count_word_errors(f"{word}, {word}!", f"{word} {word}", "basic") == WordCounts(2, 0, 0, 0)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts"),
    [
        ("我爱北京天安门", "我爱北京天安们", WordCounts(6, 1, 0, 0)),
        ("今日は良い天気です。", "今日は 良い天気", WordCounts(7, 0, 0, 2)),
        ("สวัสดี", "สวัสดีค", WordCounts(4, 0, 1, 0)),  # vowel signs belong to their letters
        ("abc def", "abcdef", WordCounts(6, 0, 0, 0)),
        ("", "ab", WordCounts(0, 0, 2, 0)),
        ("ab", "", WordCounts(0, 0, 0, 2)),
        ("", "", WordCounts(0, 0, 0, 0)),
        ("。！", "a", WordCounts(0, 0, 1, 0)),
    ],
)
def test_characters_are_counted_without_space_between_them(reference, hypothesis, counts):
    assert count_character_errors(reference, hypothesis, "basic") == counts
    assert count_word_errors(reference, hypothesis, "characters") == counts
    assert count_character_errors(reference, hypothesis, "characters") == counts


@pytest.mark.parametrize(
    ("language", "normalizer"),
    [("en", "english"), ("de", "basic"), ("hi", "basic"), ("auto", "basic"), *((x, "characters") for x in _UNSPACED)],
)
def test_the_language_chooses_the_normaliser(language, normalizer):
    assert default_normalizer(language) == normalizer


@pytest.mark.parametrize("seed", range(20))
def test_characters_and_words_agree_with_jiwer_on_plain_text(seed):
    import random

    import jiwer

    chance = random.Random(seed)
    said, heard = ("".join(chance.choice("abc") for _ in range(chance.randrange(1, 30))) for _ in range(2))
    found = jiwer.process_characters(said, heard)
    counts = count_character_errors(said, heard, "none")
    assert counts.errors == found.substitutions + found.insertions + found.deletions
    assert counts.reference_words == len(said)
