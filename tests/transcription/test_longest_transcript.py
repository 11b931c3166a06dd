"""The most text tokens of a transcript, against the rules that decoding follows."""

from math import inf

import numpy as np
import pytest

from allophone.audio.windows import most_windows, pack_spans, split_windows
from allophone.models.engine import text_token_cap
from allophone.records.point import OperatingPoint
from allophone.transcription.longest_transcript import most_text_tokens, pass_text_tokens

FULL = OperatingPoint(model="tiny.en")
FIT = OperatingPoint(model="tiny.en", context="fit", margin_s=1.0)
GUARDED = OperatingPoint(model="tiny.en", context="fit", margin_s=1.0, guard=True)


def test_one_window_has_one_cap():
    assert most_text_tokens(FULL, 5.0) == 60
    assert most_text_tokens(FULL, 12.0) == 116
    assert most_text_tokens(FULL, 30.0) == 224  # half of the decoder's positions
    assert most_text_tokens(FULL.model_copy(update={"speed": 2.0}), 5.0) >= 60


def test_a_window_that_a_guard_cannot_run_again_in_parts_has_no_more():
    assert most_text_tokens(GUARDED, 5.9) == text_token_cap(5.9)
    # 6.0 s: 2.2 tokens a second before the last word, and what is left of 5.5 s: 13 + 64
    assert most_text_tokens(GUARDED, 6.0) == 77
    # from 24 s of context on it may be cut at any pause
    assert most_text_tokens(GUARDED, 22.9) < inf
    assert most_text_tokens(GUARDED, 23.0) == inf
    assert most_text_tokens(FIT, 23.0) == text_token_cap(23.0)


def test_a_guard_that_goes_on_as_often_as_it_can_stays_below():
    def worst(said_s):  # what mending.py may do at most: little text, then the rest as a window of its own
        if said_s < 6:
            return text_token_cap(said_s)
        return max(text_token_cap(said_s), int(2.2 * said_s) + worst(said_s - 0.5))

    for said_s in (6.0, 7.3, 12.0, 22.0):
        assert most_text_tokens(GUARDED, said_s) == worst(said_s)


@pytest.mark.parametrize(("window_s", "pack_s"), [(30.0, None), (30.0, 15.0), (10.0, 15.0), (5.0, None)])
def test_no_recording_has_more_windows(window_s, pack_s):
    rng = np.random.default_rng(0)
    most = 0.0
    for _ in range(300):
        edges = np.sort(rng.choice(300 * 10, 2 * rng.integers(1, 200), replace=False)) / 10
        spans = [(int(16_000 * a), int(16_000 * b)) for a, b in edges.reshape(-1, 2)]
        limit = int(window_s * 16_000)
        windows = pack_spans(spans, limit, limit if pack_s is None else min(limit, int(pack_s * 16_000)))
        allowed = most_windows(300.0, window_s, pack_s)
        assert len(windows) <= allowed
        most = max(most, len(windows) / allowed)
    assert most > 0.4  # and it is not far more than there are
    assert (
        most_windows(window_s, window_s, pack_s) == 1 == len(split_windows(np.ones(int(16_000 * window_s)), window_s))
    )


def test_long_audio_adds_up():
    assert most_text_tokens(FULL, 100.0) == 20 * most_windows(100.0, 30.0) + 800
    assert pass_text_tokens(30.0) == 224
    assert pass_text_tokens(65.0) == 2 * 224 + 60
    assert pass_text_tokens(0.0) == 0
