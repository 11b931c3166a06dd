"""Search against every transcript that a small decoder could write."""

from itertools import product

import numpy as np
import pytest

from allophone.models.moonshine_search import END_OF_TEXT, Hypothesis, search

VOCABULARY = 5  # 0 and 1 are never likely, 2 ends


class TableDecoder:
    """Logits from a table of what was said so far; it reorders its beams as the real one does its cache."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._said: list[tuple[int, ...]] = [()]
        self.rows = 0

    def step(self, tokens: list[int], parents: list[int]) -> np.ndarray:
        said = [(*self._said[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        self._said = said
        self.rows += len(said)
        return np.stack([self.logits(line[1:]) for line in said])

    def logits(self, said: tuple[int, ...]) -> np.ndarray:
        rng = np.random.default_rng([self._seed, *said])
        values = rng.normal(size=VOCABULARY).astype(np.float32) * 2
        values[:2] = -30
        return values


def log_softmax(values: np.ndarray) -> np.ndarray:
    return values - np.log(np.exp(values).sum())


def every_transcript(decoder: TableDecoder, cap: int) -> list[tuple[float, tuple[int, ...]]]:
    """Mean log-probability of every transcript of at most ``cap`` tokens, those that the cap ends included."""
    found = []
    for length in range(cap + 1):
        for said in product((3, 4), repeat=length):
            total = sum(float(log_softmax(decoder.logits(said[:i]))[token]) for i, token in enumerate(said))
            if length < cap:
                ended = total + float(log_softmax(decoder.logits(said))[END_OF_TEXT])
                found.append((ended / (length + 1), said))
            else:
                found.append((total / length, said))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_greedy_takes_the_likeliest_token_each_time(seed):
    decoder = TableDecoder(seed)
    found = search(decoder, 1, 6)
    said: tuple[int, ...] = ()
    while len(said) < 6 and (token := int(decoder.logits(said).argmax())) != END_OF_TEXT:
        said = (*said, token)
    assert found.tokens == said
    assert found.ended == (len(said) < 6)
    assert len(found.rows) == len(said) + found.ended
    chosen = [*said, END_OF_TEXT][: len(found.rows)]
    total = sum(float(log_softmax(row)[token]) for row, token in zip(found.rows, chosen, strict=True))
    assert found.log_probability == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_beams_that_hold_everything_find_the_best_of_all(seed):
    best, said = max(every_transcript(TableDecoder(seed), 3))
    found = search(TableDecoder(seed), 16, 3)
    assert found.tokens == said
    assert found.mean_log_probability == pytest.approx(best, rel=1e-5)


def test_more_beams_take_more_rows_and_never_a_worse_sum():
    narrow, wide = TableDecoder(3), TableDecoder(3)
    one, three = search(narrow, 1, 8), search(wide, 3, 8)
    assert wide.rows > narrow.rows
    assert three.mean_log_probability >= one.mean_log_probability


def test_a_cap_of_one_is_one_token_or_none():
    for seed in range(8):
        found = search(TableDecoder(seed), 2, 1)
        assert len(found.tokens) <= 1
        assert found.ended == (not found.tokens)


def test_nothing_said_has_a_mean_of_nothing():
    assert Hypothesis((), False, 0.0).mean_log_probability == 0.0
