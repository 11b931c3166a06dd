from allophone.sweeps.recognition.plans import plan_points
from allophone.sweeps.space import SearchSpace
from allophone.transcription.defaults import default_point


def test_measured_models_run_the_centre_of_a_sweep_and_others_full_context():
    centre = plan_points(SearchSpace(model=("base",)), "star")[0]
    assert default_point("base") == centre
    assert centre.name == "base-fit+1tallg-s1-int8-b1"
    assert default_point("large-v3").name == "large-v3-full-s1-int8-b1"
