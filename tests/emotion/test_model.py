"""What is trained, what gets gradients, and that ways through the model agree."""

import numpy as np
import pytest

from allophone.costs.adaptation import trainable_parameters
from allophone.emotion.recipe import EmotionSetting
from allophone.errors import SpaceError
from emotion_builders import FAMILIES, tiny_encoder

pytest.importorskip("torch")

import torch

from allophone.emotion.model import EmotionModel, adapted_modules

SETTINGS = [(0, 0), (2, 0), (0, 1), (2, 2), (0, "all"), (2, "all")]


def model_of(name, rank, unfrozen, precision="float32"):
    setting = EmotionSetting(model=name, lora_rank=rank, unfrozen_layers=unfrozen)
    return EmotionModel(tiny_encoder(name), setting, 4, precision=precision)


def clip(n_samples=6400):
    return (0.1 * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("rank", "unfrozen"), SETTINGS)
def test_trained_parameters_are_the_closed_form(name, rank, unfrozen):
    model = model_of(name, rank, unfrozen)
    count = sum(parameter.numel() for parameter in model.trained().values())
    assert count == trainable_parameters(model.encoder.dimensions, model.adaptation)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("rank", "unfrozen"), SETTINGS[1:])
def test_gradients_reach_every_trained_parameter_and_no_other(name, rank, unfrozen):
    model = model_of(name, rank, unfrozen)
    trained = model.trained()
    for parameter_name, parameter in trained.items():
        if "lora_B" in parameter_name:  # begins at zero, which would hide the gradient of its partner
            torch.nn.init.normal_(parameter, std=0.1)
    hidden = model.front(clip())[None]
    model.logits(model.frozen_states(hidden, None), None).square().sum().backward()
    for parameter_name, parameter in trained.items():
        if parameter_name.endswith("k_proj.bias"):  # shifts all scores of a query alike: its gradient is zero
            continue
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name
    frozen = [p for p in model.encoder.module.parameters() if not p.requires_grad]
    assert frozen
    assert all(parameter.grad is None for parameter in frozen)


def test_wavlm_gets_adapters_where_they_run():
    assert {name.rpartition(".")[2] for name in adapted_modules(tiny_encoder("wavlm"))} == {
        "intermediate_dense",
        "output_dense",
    }
    names = adapted_modules(tiny_encoder("hubert"))
    assert {name.rpartition(".")[2] for name in names} == {"q_proj", "k_proj", "v_proj", "out_proj"}
    assert len(names) == 3 * 4


@pytest.mark.parametrize("name", FAMILIES)
def test_inference_is_the_way_over_states(name):
    model = model_of(name, 2, 1)
    hidden = model.front(clip())[None]
    with torch.no_grad():
        expected = model.logits(model.frozen_states(hidden, None), None)[0]
    assert torch.equal(model.clip_logits(clip()), expected)


def test_merged_adapters_change_nothing_but_rounding():
    model = model_of("whisper", 4, 0)
    for name, parameter in model.trained().items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    before = model.clip_logits(clip())
    model.merge()
    torch.testing.assert_close(model.clip_logits(clip()), before, atol=1e-5, rtol=1e-4)
    plain = model_of("whisper", 0, 0)
    assert not torch.allclose(plain.clip_logits(clip()), before, atol=1e-3)


def test_only_trained_layers_drop_anything():
    model = model_of("wav2vec2", 0, 1)
    model.train()
    layers = model.encoder.module.encoder.layers
    assert [layer.training for layer in layers] == [False, False, True]
    assert not model.encoder.module.feature_extractor.training
    model.train(False)
    assert not layers[2].training


def test_bfloat16_is_near_float32_and_its_logits_are_float32():
    logits = [model_of("whisper", 0, 1, precision).clip_logits(clip()) for precision in ("float32", "bfloat16")]
    assert logits[1].dtype == torch.float32
    torch.testing.assert_close(*logits, atol=0.03, rtol=0.1)
    assert not torch.equal(*logits)


def test_impossible_knobs():
    with pytest.raises(SpaceError, match="width, 16"):
        model_of("whisper", 17, 0)
    with pytest.raises(SpaceError, match="has 3 layers"):
        model_of("whisper", 0, 4)
