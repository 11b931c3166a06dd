"""Certified limits: how they are written, what bounds an utterance's errors, and which of many points pass."""

from itertools import product

import numpy as np
import pytest

from allophone.errors import SpaceError
from allophone.guarantee.certificate import (
    RATES,
    WORDS_PER_TOKEN,
    SpeakerLosses,
    most_counted,
    pass_in_sequence,
    read_limit,
)
from allophone.measure.wer import split_words
from allophone.models.weights import locate_weights
from allophone.records.point import OperatingPoint

BASE = OperatingPoint(model="tiny.en")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("wer<=12", "wer", 0.12),
        (" wer <= 12.5 % ", "wer", 0.125),
        ("wer_clipped<=0.5%", "wer_clipped", 0.005),
        ("error_share<=1e1", "error_share", 0.1),
        ("wer_capped<=1", "wer_capped", 0.01),
    ],
)
def test_a_limit_is_a_rate_and_percent(text, name, value):
    limit = read_limit(text)
    assert limit.rate is RATES[name]
    assert limit.value == pytest.approx(value)
    assert read_limit(str(limit) + "%") == limit


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", 'e.g. "wer<=12"'),
        ("wer", "write the name of a rate"),
        ("wer<12", "'<='"),
        ("wer>=12", "'<='"),
        ("wer<=", "percent"),
        ("wer<=12<=13", "e.g."),
        ("wer<=e", "is no number"),
        ("wer<=nan", "e.g."),
        ("wer<=--3", "is no number"),
        ("cer<=12", "rates: wer, wer_capped, wer_clipped, error_share"),
        ("wer<=0", "above 0 and below 100"),
        ("wer<=-3", "above 0 and below 100"),
        ("wer<=100", "above 0 and below 100"),
        ("wer<=1e999", "above 0 and below 100"),
        ("wer<=0.12", 'write "wer<=12"; if you mean percent, write "wer<=0.12%"'),
    ],
)
def test_anything_else_is_refused_with_what_to_write(text, remedy):
    with pytest.raises(SpaceError) as error:
        read_limit(text)
    assert remedy in str(error.value)
    assert f"--certify '{text}'" in str(error.value)


def test_an_utterance_counts_at_most_what_is_known_before_its_errors():
    words, seconds = np.array([0.0, 10.0, 200.0]), np.array([1.0, 4.0, 4.0])
    # 8 tokens a second and 20: 28, 52, 52; twelve words a token in English, four in others
    caps = {"wer": [336.0, 624.0, 624.0], "wer_capped": [28.0, 52.0, 200.0], "wer_clipped": [0.0, 10.0, 200.0]}
    for name, expected in caps.items():
        assert most_counted(RATES[name], BASE, words, seconds, "english").tolist() == expected
    assert most_counted(RATES["wer"], BASE, words, seconds, "basic").tolist() == [112.0, 208.0, 208.0]
    assert most_counted(RATES["wer"], BASE, words, seconds, "none").tolist() == [28.0, 52.0, 200.0]
    assert most_counted(RATES["error_share"], BASE, words, seconds, "english").tolist() == [1.0, 1.0, 1.0]


def test_a_speaker_loses_the_mean_over_his_utterances():
    errors, words = np.array([[4.0, 0.0, 30.0]]), np.array([10.0, 20.0, 20.0])
    speakers = np.array([0, 0, 1])
    expected = {  # limit of 10 %
        "wer": ([(4 - 1 + 0 - 2) / 2, 30 - 2], (100 - 1 + 100 - 2) / 2),
        "wer_capped": ([0.5, 28.0], 98.5),
        "wer_clipped": ([0.5, 18.0], 18.0),
        "error_share": ([0.4, 0.9], 0.9),
    }
    for name, (losses, greatest) in expected.items():
        limit = read_limit(f"{name}<=10")
        most = {"wer_clipped": words, "error_share": np.ones(3)}.get(name, np.full(3, 100.0))
        found = SpeakerLosses.of(limit, errors, words, most[None], speakers)
        np.testing.assert_allclose(found.losses, [losses])
        np.testing.assert_allclose(found.stakes[0].stakes.max(), greatest)


def test_more_errors_than_there_can_be_are_not_bet_on():
    with pytest.raises(ValueError, match="more errors"):
        SpeakerLosses.of(read_limit("wer<=10"), np.array([[7.0]]), np.array([3.0]), np.array([[6.0]]), np.array([0]))


def test_nothing_is_known_where_nothing_bounds_the_errors_or_no_word_was_said():
    one = np.zeros((1, 3))
    unbounded = SpeakerLosses.of(
        read_limit("wer<=10"), one, np.full(3, 9.0), np.full((1, 3), np.inf), np.array([0, 1, 2])
    )
    assert unbounded.e_values().tolist() == [1.0]
    with pytest.raises(ValueError, match="who can lose"):
        SpeakerLosses.of(read_limit("wer_clipped<=10"), one + 5, one[0], one, np.array([0, 1, 2]))


def test_no_token_of_whisper_becomes_more_words_than_the_table_says():
    weights = locate_weights("tiny.en")
    if weights is None or not (weights.folder / "tokenizer.json").is_file():
        pytest.skip("needs the tokenizer of tiny.en")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(weights.folder / "tokenizer.json"))
    texts = [tokenizer.decode([token]) for token in range(tokenizer.get_vocab_size())]
    most = {"none": 1, "basic": 2, "english": 12, "characters": 64}
    for normalizer, expected in most.items():
        counts = [len(split_words(text, normalizer)) for text in texts]
        assert max(counts) == expected <= WORDS_PER_TOKEN[normalizer]


def test_what_is_passed_hands_its_share_on():
    assert pass_in_sequence([20, 20, 19, 100], [0.05, 0, 0, 0]) == [True, True, False, False]
    assert pass_in_sequence([40, 40, 39, 40], [0.025, 0, 0, 0.025]) == [True, True, False, True]
    # both families: the second starts with the whole of the error once all of the first has passed
    assert pass_in_sequence([40, 40, 20, 20], [0.025, 0, 0.025, 0]) == [True, True, True, True]
    assert pass_in_sequence([1e9, 0, 1e9], [0.0, 0.05, 0.0]) == [False, False, False]
    assert pass_in_sequence([], []) == []


def test_any_wrong_pass_is_as_rare_as_promised_whichever_hypotheses_are_true():
    # Worst case over dependence: true hypotheses pass at a level with probability of exactly that level, never together
    shares = [0.03, 0.0, 0.02, 0.0, 0.05]
    for wrong in product((True, False), repeat=5):
        total, carried = 0.0, 0.0
        for is_wrong, share in zip(wrong, shares, strict=True):
            level = carried + share
            total += level if is_wrong else 0.0
            carried = 0.0 if is_wrong else level  # what is right to pass always passes: the most that can be handed on
        assert total <= 0.1 + 1e-12


@pytest.mark.parametrize("name", ["wer_clipped", "wer_capped", "error_share"])
@pytest.mark.parametrize("n_speakers", [12, 60])
def test_the_cheapest_point_that_passes_keeps_its_limit_as_often_as_promised(name, n_speakers):
    rng = np.random.default_rng(7)
    broken = passed = 0
    speakers = np.repeat(np.arange(n_speakers), 5)
    words = rng.integers(5, 12, len(speakers)).astype(float)
    chances = np.array([0.02, 0.05, 0.2, 0.4])  # that a speaker's utterances are lost whole, dear to cheap
    limit = read_limit(f"{name}<=" + ("20" if name != "wer_capped" else "80"))
    most = np.tile({"wer_clipped": words, "error_share": np.ones_like(words)}.get(name, 4 * words), (4, 1))
    truths = chances if name != "wer_capped" else 4 * chances
    for _ in range(1000):
        lost = (rng.random((4, n_speakers)) < chances[:, None])[:, speakers]
        errors = np.where(lost, 4 * words if name == "wer_capped" else words, 0.0)
        found = SpeakerLosses.of(limit, errors, words, most, speakers).e_values()
        kept = np.flatnonzero(pass_in_sequence(found.tolist(), [0.05, 0, 0, 0]))
        broken += bool(kept.size) and truths[kept[-1]] >= limit.value - 1e-9
        passed += bool(kept.size)
    assert broken / 1000 <= 0.05
    if n_speakers == 60:
        assert passed / 1000 > 0.5
