import pytest

from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError
from allophone.records.point import EmotionSetting
from allophone.sweeps.emotion.space import EmotionSpace, distinct_settings, plan_settings, read_emotion_space

DIMENSIONS = {name: whisper_dimensions(name) for name in ("tiny.en", "base")}  # four layers and six


def names(space, plan):
    return [setting.name for setting in plan_settings(space, plan, DIMENSIONS)]


def test_a_star_varies_one_axis_at_a_time_round_the_first_values():
    axes = {"duration_s": ["2", "1"], "lora_rank": ["0", "8"], "unfrozen_layers": ["0", "2"]}
    space = read_emotion_space(models=["tiny.en"], axes=axes)
    assert names(space, "star") == ["tiny.en-2s-frozen", "tiny.en-1s-frozen", "tiny.en-2s-r8", "tiny.en-2s-top2"]


def test_a_grid_and_a_race_are_every_combination():
    space = EmotionSpace(model=("tiny.en", "base"), duration_s=(1, 2), lora_rank=(0, 8), unfrozen_layers=(0, 2))
    assert len(names(space, "grid")) == 16
    assert names(space, "race") == names(space, "grid")


def test_settings_that_train_the_same_parameters_are_one():
    space = EmotionSpace(model=("tiny.en", "base"), duration_s=(1,), lora_rank=(0,), unfrozen_layers=(0, 4, "all"))
    assert names(space, "grid") == [
        *("tiny.en-1s-frozen", "tiny.en-1s-top4"),  # all of its four
        *("base-1s-frozen", "base-1s-top4", "base-1s-all"),
    ]


def test_of_settings_that_train_the_same_the_first_stays():
    whole, four = (EmotionSetting(model="tiny.en", duration_s=1.0, unfrozen_layers=depth) for depth in ("all", 4))
    assert distinct_settings([whole, four], DIMENSIONS) == [whole]
    assert distinct_settings([four, whole, four], DIMENSIONS) == [four]


def test_a_file_and_flags(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text('duration_s = [1, 2.5]\nunfrozen_layers = [0, "all"]\n')
    space = read_emotion_space(path, ["base"], {"duration_s": ["4"]})
    assert (space.duration_s, space.unfrozen_layers, space.model) == ((4.0,), (0, "all"), ("base",))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"beam_size": ["1"]}, "unknown axis 'beam_size'; known axes: model, duration_s, lora_rank, unfrozen_layers"),
        ({"duration_s": ["0"]}, "axis 'duration_s', value 0.0"),
        ({"duration_s": ["long"]}, "axis 'duration_s', value 'long'"),
        ({"unfrozen_layers": ["half"]}, "axis 'unfrozen_layers', value 'half'"),
        ({"lora_rank": ["8", "8"]}, "a value occurs twice"),
    ],
)
def test_impossible_axes(axes, message):
    with pytest.raises(SpaceError, match=message):
        read_emotion_space(None, None, axes)


@pytest.mark.parametrize(("axis", "value"), [("unfrozen_layers", 5), ("lora_rank", 9999), ("unfrozen_layers", -1)])
def test_what_an_encoder_cannot_take(axis, value):
    space = EmotionSpace(**{"model": ("tiny.en",), axis: (value,)})
    with pytest.raises(SpaceError, match=r"model 'tiny\.en' cannot take"):
        plan_settings(space, "grid", DIMENSIONS)


@pytest.mark.parametrize("plan", ["joint", "x"])
def test_plans_for_speech_recognition_alone(plan):
    with pytest.raises(SpaceError, match=f"plan '{plan}' is not for emotion recognition.*star, grid, isoflop, race"):
        plan_settings(EmotionSpace(), plan, DIMENSIONS)
