"""Positions of the silence tail, against their definition on a small context."""

import pytest

from allophone.audio.tail import learned_vectors, tail_positions


@pytest.mark.parametrize(
    ("tail", "positions"),
    [
        ("none", []),
        ("all", [3, 4, 5, 6, 7, 8, 9]),
        ("every-2", [3, 5, 7, 9]),
        ("every-4", [3, 7]),
        ("every-9", [3]),
        ("last-2", [8, 9]),
        ("learned-2", [8, 9]),
        ("learned-64", [3, 4, 5, 6, 7, 8, 9]),
        ("last-300", [3, 4, 5, 6, 7, 8, 9]),  # no further back than the window's end
    ],
)
def test_positions_behind_six_frames_of_ten_audio_tokens(tail, positions):
    assert list(tail_positions(6, tail, 10)) == positions


@pytest.mark.parametrize("tail", ["none", "all", "every-2", "last-3", "learned-3"])
def test_a_whole_context_has_no_tail(tail):
    assert list(tail_positions(20, tail, 10)) == []


@pytest.mark.parametrize(("tail", "vectors"), [("learned-64", 64), ("last-64", 0), ("all", 0), ("none", 0)])
def test_only_a_learned_tail_has_learned_vectors(tail, vectors):
    assert learned_vectors(tail) == vectors
