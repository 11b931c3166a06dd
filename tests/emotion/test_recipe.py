from allophone.costs.adaptation import Adaptation, setting_adaptation
from allophone.emotion.recipe import EmotionSetting, default_recipe


def test_a_setting_is_an_adaptation():
    setting = EmotionSetting(model="base", lora_rank=8, unfrozen_layers="all")
    assert setting_adaptation(setting, 6, 4) == Adaptation(8, 6, 4)


def test_a_probe_takes_more_epochs():
    probe = default_recipe(EmotionSetting(model="base"), seed=3)
    deep = default_recipe(EmotionSetting(model="base", unfrozen_layers=1))
    assert probe.epochs > deep.epochs
    assert (probe.seed, deep.seed) == (3, 0)
