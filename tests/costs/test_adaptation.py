import pytest

from allophone.costs.adaptation import (
    Adaptation,
    adapter_parameters,
    optimizer_bytes,
    pooled_head_parameters,
    trainable_parameters,
    training_flops,
)
from allophone.costs.speech import layer_stack
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions, dimensions, speech_encoder_dimensions
from allophone.errors import SpaceError

BASE = speech_encoder_dimensions("wav2vec2-base")


def test_published_trainable_parameters_of_base():
    # arXiv 2606.22790 prints 29.7 million for rank 16 and top 4: adapters on query, key, value and output of all 12
    # layers (12·4·2·16·768), 4 layers of 7,087,872, and its head (projection to 256 and classifier of 4 classes) in
    # place of the pooled one.
    adaptation = Adaptation(lora_rank=16, unfrozen_layers=4, classes=4)
    ours = trainable_parameters(BASE, adaptation)
    assert ours == 1_179_648 + 28_351_488 + (13 + 2 * 768 * 4 + 4)
    theirs = ours - pooled_head_parameters(768, 12, 4) + (768 * 256 + 256 + 256 * 4 + 4)
    assert f"{theirs / 1e6:.1f}" == "29.7"


def test_head_alone():
    # 25 layer weights, 2·1024 statistics to 6 classes with bias; AdamW keeps two float32 numbers for each
    adaptation = Adaptation(lora_rank=0, unfrozen_layers=0, classes=6)
    trained = trainable_parameters(dimensions("wavlm-large"), adaptation)
    assert trained == 25 + 12_288 + 6
    assert optimizer_bytes(trained) == 98_552


def test_wavlm_s_position_buckets_are_trained_with_its_first_layer():
    wavlm = dimensions("wavlm-base")
    all_but_one, all_of_them = (trainable_parameters(wavlm, Adaptation(0, layers, 6)) for layers in (11, 12))
    gate = 8 * 64 + 8 + 12
    assert all_of_them - all_but_one == 7_087_872 + gate + 320 * 12


def test_training_step_by_hand():
    # d = 4, f = 8, one layer, A = 3 tokens, rank 1, nothing unfrozen, norm after: products in units of 2·A = 6 FLOPs.
    # forward adapters: 4 · 2 · 4 = 32 units. backward: output projection 16, feed-forward 2·32 = 64; scores
    # 2 · (2·2·4·9) = 288 FLOPs; adapters: gradients of up, its input and down for four projections 12 · 4 = 48, and of
    # the output projection's own input 4. Head 2·2·4·2 = 32 FLOPs twice. The layer's input needs no gradient.
    dims = SpeechEncoderDimensions((4,), (1,), (1,), False, "group", 4, 8, 1, 2, 2, 2, 0, stable_layer_norm=False)
    units = 32 + 16 + 64 + 48 + 4
    assert training_flops(dims, Adaptation(1, 0, 2), tokens=3, forward=1000) == 1000 + 6 * units + 288 + 64


def test_adapters_grow_with_the_rank_alone():
    stack = layer_stack(BASE)
    assert adapter_parameters(stack, 16) == 4 * 2 * 16 * 768
    assert adapter_parameters(stack, 0) == 0


def test_wavlm_s_adapters_are_on_its_feed_forward_part():
    # 12 layers of 8·(768 + 3072) into and out of each of two projections; 13 layer weights, 2·768 statistics to 6
    # classes with bias
    wavlm = dimensions("wavlm-base")
    trained = 12 * 2 * 8 * (768 + 3072) + 13 + 2 * 768 * 6 + 6
    assert trainable_parameters(wavlm, Adaptation(8, 0, 6)) == trained == 746_515


def test_wavlm_s_adapted_step_by_hand():
    # d = 4, f = 8, gate 8, one layer, A = 3 tokens, rank 1, norm after: products in units of 2·A = 6 FLOPs. Forward
    # adapters 2·(4 + 8) = 24. Backward: first adapter (4 to 1 to 8) 8 + 8 + 4, second (8 to 1 to 4) 4 + 4 + 8 and its
    # input 8; nothing trained lies before the feed-forward part, so of its own products the second one's input, 32.
    # Head 2·2·4·2 = 32 FLOPs twice.
    dims = SpeechEncoderDimensions((4,), (1,), (1,), False, "group", 4, 8, 1, 2, 2, 2, 8, stable_layer_norm=False)
    units = 24 + 20 + 24 + 32
    assert training_flops(dims, Adaptation(1, 0, 2), tokens=3, forward=1000) == 1000 + 6 * units + 64


@pytest.mark.parametrize(
    ("adaptation", "limit"),
    [
        (Adaptation(769, 0, 6), "width, 768"),
        (Adaptation(-1, 0, 6), "width, 768"),
        (Adaptation(0, 13, 6), "has 12 layers"),
        (Adaptation(0, -1, 6), "has 12 layers"),
        (Adaptation(0, 0, 1), "at least 2"),
    ],
)
def test_impossible_adaptations_name_the_limit(adaptation, limit):
    with pytest.raises(SpaceError, match=limit):
        trainable_parameters(BASE, adaptation)
    with pytest.raises(SpaceError, match=limit):
        training_flops(BASE, adaptation, tokens=10, forward=1)
