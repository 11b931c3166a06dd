import pytest

from allophone.sweeps.recognition.plans import plan_points
from allophone.sweeps.space import SearchSpace
from allophone.transcription.defaults import default_point


@pytest.mark.parametrize("model", ["tiny.en", "base"])
def test_measured_models_run_the_centre_of_a_sweep(model):
    centre = plan_points(SearchSpace(model=(model,)), "star")[0]
    assert default_point(model) == centre
    assert centre.name == f"{model}-fit+1tlearned64g-s1-int8-b5"


def test_other_models_run_full_context_with_five_beams_and_moonshine_greedy():
    assert default_point("large-v3").name == "large-v3-full-s1-int8-b5"
    assert default_point("moonshine-tiny").name == "moonshine-tiny-fit+0-s1-int8-b1"


def test_a_sweep_of_models_with_and_without_a_learned_tail_gives_each_its_own():
    points = plan_points(SearchSpace(model=("tiny.en", "small"), context=("fit",)), "star")
    assert {(point.model, point.tail) for point in points} == {("tiny.en", "learned-64"), ("small", "all")}


def test_weights_that_are_not_the_published_ones_have_the_whole_silence(monkeypatch):
    monkeypatch.setattr("allophone.models.learned_tail.has_digest", lambda path, digest: False)
    assert default_point("tiny.en").tail == "all"
