import pytest
from pydantic import ValidationError

from allophone.errors import SpaceError
from allophone.records.point import EmotionSetting


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
    assert EmotionSetting(model="base", unfrozen_layers="all").depth(6) == 6
    assert EmotionSetting(model="base", lora_rank=8, unfrozen_layers=2).depth(6) == 2
    for layers in (7, -1):
        with pytest.raises(SpaceError, match="the encoder has 6 layers, or write all"):
            EmotionSetting(model="base", unfrozen_layers=layers).depth(6)


@pytest.mark.parametrize(
    "knobs", [{"duration_s": 0}, {"duration_s": 31}, {"lora_rank": -1}, {"unfrozen_layers": "top"}, {"stride": 2}]
)
def test_impossible_knobs(knobs):
    with pytest.raises(ValidationError):
        EmotionSetting(model="base", **knobs)
