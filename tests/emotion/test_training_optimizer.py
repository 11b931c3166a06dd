import pytest

from emotion_builders import tiny_model

pytest.importorskip("torch")

from allophone.emotion.recipe import Recipe
from allophone.emotion.training import parameter_groups, rate_factor

RECIPE = Recipe(head_lr=1.0, encoder_lr=2.0, lora_lr=3.0, weight_decay=0.5)


def test_every_trained_parameter_is_in_one_group_at_its_kinds_rate():
    model = tiny_model("wavlm", rank=2, unfrozen=1)
    groups = parameter_groups(model, RECIPE)
    grouped = {id(p): group for group in groups for p in group["params"]}
    trained = model.trained()
    assert sum(len(group["params"]) for group in groups) == len(grouped) == len(trained)
    for name, parameter in trained.items():
        group = grouped[id(parameter)]
        assert group["lr"] == (1.0 if name.startswith("head.") else 3.0 if "lora_" in name else 2.0), name
        matrix = parameter.ndim == 2 and "norm" not in name
        assert group["weight_decay"] == (0.5 if matrix else 0.0), name


def test_rates_rise_then_fall_to_zero():
    factors = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[:10] == sorted(factors[:10])
    assert factors[10] == 1 == max(factors)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0 < factors[-1] < 0.001
    assert rate_factor(0, 5, 0.0) == 1
