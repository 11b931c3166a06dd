import pytest

from emotion_builders import tiny_model

pytest.importorskip("torch")

from allophone.costs.adaptation import frozen_flops, training_step_flops
from allophone.emotion.checkpoint import Epoch, Progress
from allophone.emotion.results import EmotionRow, confusion_of, median_step_s, training_flops_of

PROGRESS = Progress([Epoch(1, 0.7, 0.5, 2, 1.0, ((10, 4),)), Epoch(2, 0.6, 0.8, 2, 3.0, ((10, 2), (12, 2)))], 2, {})


def row(label, posterior, error=None):
    return EmotionRow("u", "s", label, posterior, False, None, error)


def test_flops_are_summed_over_padded_clips():
    model = tiny_model(unfrozen=1)
    dims, adaptation = model.encoder.dimensions, model.adaptation
    steps = sum(clips * training_step_flops(dims, adaptation, tokens=tokens) for tokens, clips in ((10, 6), (12, 2)))
    below = sum(clips * frozen_flops(dims, tokens=tokens, layers=2) for tokens, clips in ((10, 6), (12, 2)))
    assert training_flops_of(model, PROGRESS, cached=True) == (steps, 0)
    assert training_flops_of(model, PROGRESS, cached=False) == (steps, below)


def test_step_seconds_are_the_median_epochs():
    assert median_step_s(PROGRESS) == 1.0  # of 0.5 and 1.5


def test_rows_with_an_error_enter_no_rate():
    found = confusion_of([row("a", (0.9, 0.1)), row("b", (0.6, 0.4)), row("b", (), "silent")], ("a", "b"))
    assert found.confusion.tolist() == [[1, 0], [1, 0]]
