import pytest

from allophone.costs.parameters import model_parameters, whisper_encoder_parameters
from allophone.dimensions.speech_encoders import SPEECH_ENCODERS, dimensions
from allophone.dimensions.whisper import WHISPER_MODELS

# sum(p.numel()) of the models that transformers builds from the released configurations; the head is the vocabulary.
RELEASED = {
    "tiny": 37_760_640,
    "tiny.en": 37_760_256,
    "base": 72_593_920,
    "base.en": 72_593_408,
    "small": 241_734_912,
    "small.en": 241_734_144,
    "medium": 763_857_920,
    "medium.en": 763_856_896,
    "large-v1": 1_543_304_960,
    "large-v2": 1_543_304_960,
    "large-v3": 1_543_490_560,
    "large-v3-turbo": 808_878_080,
    "wav2vec2-base": 94_371_712,
    "wav2vec2-large": 315_428_992,
    "wav2vec2-large-robust": 315_438_720,
    "hubert-base": 94_371_712,
    "hubert-large": 315_438_720,
    "wavlm-base": 94_381_936,
    "wavlm-base-plus": 94_381_936,
    "wavlm-large": 315_453_120,
}


def test_every_model_of_the_tables_is_here():
    assert set(RELEASED) == {*WHISPER_MODELS, *SPEECH_ENCODERS}


@pytest.mark.parametrize(("name", "released"), list(RELEASED.items()))
def test_released_sizes(name, released):
    assert model_parameters(dimensions(name)) == released


def test_encoder_of_tiny_by_hand():
    # convolutions 3·80·384 + 384 + 3·384² + 384; positions 1500·384; 4 layers of 12·384² weights, biases of 384 for
    # query, value, output and the feed-forward part's end, 4·384 for its middle, 4 norm vectors: 12·384; norm 2·384
    by_hand = 92_160 + 384 + 442_368 + 384 + 576_000 + 4 * (1_769_472 + 12 * 384) + 768
    assert whisper_encoder_parameters(WHISPER_MODELS["tiny"]) == by_hand
