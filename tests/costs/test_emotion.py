import pytest

from allophone.costs.emotion import emotion_cost, inference_flops
from allophone.costs.memory import eager_encoder_peak_bytes, speech_peak_activation_bytes
from allophone.costs.speech import speech_flops
from allophone.dimensions.speech_encoders import dimensions, speech_encoder_dimensions
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError

TINY = whisper_dimensions("tiny")


def test_emotion_of_an_encoder_on_samples():
    dims = speech_encoder_dimensions("wav2vec2-base")
    cost = emotion_cost(dims, duration_s=4, lora_rank=8, unfrozen_layers=2, classes=6)
    flops = speech_flops(dims, samples=64_000, classes=6)
    assert cost.flops_total == flops.total
    assert cost.macs_total * 2 == flops.total
    assert cost.audio_tokens == 199
    assert cost.params == 94_371_712 + 13 + 2 * 768 * 6 + 6
    assert cost.weight_bytes == 4 * cost.params
    # 12·4·2·8·768 adapters, 2 layers of 7,087,872, head
    assert cost.trainable_params == 589_824 + 14_175_744 + 13 + 2 * 768 * 6 + 6
    assert cost.optimizer_bytes == 8 * cost.trainable_params
    assert cost.peak_activation_bytes == speech_peak_activation_bytes(dims, 64_000)
    assert flops.total < cost.flops_training < 3 * flops.total


def test_emotion_with_whisper_runs_on_the_audio_alone():
    cost = emotion_cost(TINY, duration_s=3.01)
    assert cost.audio_tokens == 151  # 48160 samples of 320 a token, rounded up
    assert cost.params == 8_208_384 + 5 + 2 * 384 * 6 + 6
    assert cost.peak_activation_bytes == eager_encoder_peak_bytes(TINY, 302)


def test_emotion_published_counts_parameters():
    cost = emotion_cost(TINY, duration_s=2, convention="published")
    assert cost.flops_total == 2 * cost.params * 50 * 2
    assert cost.flops_training is None


def test_wavlm_s_adapters_are_billed_as_they_are_trained():
    cost = emotion_cost(dimensions("wavlm-base"), duration_s=4, lora_rank=8)
    # adapters on both projections of the feed-forward part: 12·2·8·(768 + 3072), and the head
    assert cost.trainable_params == 737_280 + 13 + 2 * 768 * 6 + 6
    assert cost.optimizer_bytes == 8 * cost.trainable_params


@pytest.mark.parametrize("model", ["tiny", "wav2vec2-base", "wavlm-base"])
@pytest.mark.parametrize("duration_s", [0.5, 3.0, 30.0])
def test_an_inference_is_the_total_of_the_whole_record(model, duration_s):
    dims = dimensions(model)
    flops = inference_flops(dims, 6, samples=round(16_000 * duration_s))
    assert flops == emotion_cost(dims, duration_s=duration_s).flops_total


def test_whisper_hears_thirty_seconds_of_a_longer_clip():
    assert inference_flops(TINY, 6, samples=40 * 16_000) == inference_flops(TINY, 6, samples=30 * 16_000)


@pytest.mark.parametrize(
    ("knobs", "limit"),
    [
        ({"duration_s": 30.02}, "1 to 3000"),
        ({"duration_s": 0}, "1 to 3000"),
        ({"duration_s": -1}, "0 s or more"),
        ({"lora_rank": 385}, "width, 384"),
        ({"unfrozen_layers": 5}, "has 4 layers"),
        ({"classes": 1}, "at least 2"),
        ({"convention": "imagined"}, "executed, published"),
    ],
)
def test_impossible_emotion_knobs_name_the_limit(knobs, limit):
    with pytest.raises(SpaceError, match=limit):
        emotion_cost(TINY, **({"duration_s": 3} | knobs))
