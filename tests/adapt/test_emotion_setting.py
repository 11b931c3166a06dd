import pytest
from pydantic import ValidationError

from allophone.adapt.emotion_setting import EmotionSetting, default_recipe
from allophone.costs.adaptation import Adaptation
from allophone.errors import SpaceError


@pytest.mark.parametrize(
    ("knobs", "name"),
    [
        ({}, "base-3s-frozen"),
        ({"duration_s": 1.5, "lora_rank": 8}, "base-1.5s-r8"),
        ({"lora_rank": 16, "unfrozen_layers": 4}, "base-3s-r16-top4"),
        ({"unfrozen_layers": "all"}, "base-3s-all"),
    ],
)
def test_names(knobs, name):
    assert EmotionSetting(model="base", **knobs).name == name


def test_all_is_every_layer():
    assert EmotionSetting(model="base", unfrozen_layers="all").adaptation(6, 4) == Adaptation(0, 6, 4)
    assert EmotionSetting(model="base", lora_rank=8, unfrozen_layers=2).adaptation(6, 4) == Adaptation(8, 2, 4)
    for layers in (7, -1):
        with pytest.raises(SpaceError, match="the encoder has 6 layers, or write all"):
            EmotionSetting(model="base", unfrozen_layers=layers).adaptation(6, 4)


@pytest.mark.parametrize(
    "knobs", [{"duration_s": 0}, {"duration_s": 31}, {"lora_rank": -1}, {"unfrozen_layers": "top"}, {"stride": 2}]
)
def test_impossible_knobs(knobs):
    with pytest.raises(ValidationError):
        EmotionSetting(model="base", **knobs)


def test_a_probe_takes_more_epochs():
    probe = default_recipe(EmotionSetting(model="base"), seed=3)
    deep = default_recipe(EmotionSetting(model="base", unfrozen_layers=1))
    assert probe.epochs > deep.epochs
    assert (probe.seed, deep.seed) == (3, 0)
