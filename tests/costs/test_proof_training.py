"""Training steps on cached states against torch's own count: top-k training costs top-k FLOPs."""

import numpy as np
import pytest

from allophone.costs.adaptation import frozen_flops, training_step_flops
from allophone.costs.emotion import inference_flops
from allophone.emotion.recipe import EmotionSetting
from emotion_builders import FAMILIES, tiny_encoder

pytest.importorskip("torch")

import torch
from torch.utils.flop_counter import FlopCounterMode

from allophone.emotion.model import EmotionModel

SAMPLES = 6400


def executed(function):
    counter = FlopCounterMode(display=False)
    with counter:
        function()
    return counter.get_total_flops()


def prepared(name, rank, unfrozen):
    setting = EmotionSetting(model=name, lora_rank=rank, unfrozen_layers=unfrozen)
    # Eager attention: torch counts its fused attention on CPUs as nothing.
    model = EmotionModel(tiny_encoder(name, attention="eager"), setting, 4, precision="float32")
    model.train(False)
    return model, np.random.default_rng(0).standard_normal(SAMPLES).astype(np.float32)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("rank", "unfrozen"), [(0, 1), (0, 2), (0, 3), (2, 0), (2, 1), (2, 3)])
def test_a_cached_training_step_executes_its_closed_form(name, rank, unfrozen):
    model, samples = prepared(name, rank, unfrozen)
    hidden = model.front(samples)[None]
    lower = [state.detach() for state in model.frozen_states(hidden, None)]
    count = executed(lambda: model.logits(lower, None).square().sum().backward())
    assert count == training_step_flops(model.encoder.dimensions, model.adaptation, tokens=hidden.shape[1])


@pytest.mark.parametrize("name", FAMILIES)
def test_frozen_layers_and_inference(name):
    model, samples = prepared(name, 0, 1)
    dims, hidden = model.encoder.dimensions, model.front(samples)[None]
    tokens = hidden.shape[1]
    assert executed(lambda: model.frozen_states(hidden, None)) == frozen_flops(dims, tokens=tokens, layers=2)
    assert executed(lambda: model.clip_logits(samples)) == inference_flops(dims, 4, samples=SAMPLES)


def test_a_probe_step_is_its_linear_layer():
    # 2·(2·16)·4 forward; backward its weights and its input, for the layer weights: three times in all.
    model, _ = prepared("whisper", 0, 0)
    assert training_step_flops(model.encoder.dimensions, model.adaptation, tokens=99) == 3 * 2 * 2 * 16 * 4
    moments = torch.randn(1, 4, 16), torch.randn(1, 10, 16).square()
    step = executed(lambda: model.head.classify(model.head.pool_moments(*moments)).square().sum().backward())
    assert step == 3 * 2 * 2 * 16 * 4
