from math import prod

import pytest

from allophone.dimensions.speech_encoders import SPEECH_ENCODERS, dimensions, speech_encoder_dimensions
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import UnknownModelError


@pytest.mark.parametrize("name", SPEECH_ENCODERS)
def test_an_audio_token_is_320_samples_and_heads_divide_the_width(name):
    # 5 * 2**6 = 320 samples: 20 ms at 16 kHz (wav2vec 2.0, section 4.2)
    found = speech_encoder_dimensions(name)
    assert prod(found.conv_stride) == 320
    assert len(found.conv_dim) == len(found.conv_kernel) == len(found.conv_stride) == 7
    assert found.hidden_size % found.num_attention_heads == 0
    assert found.intermediate_size == 4 * found.hidden_size
    assert found.hidden_size % found.num_conv_pos_embedding_groups == 0
    assert found.stable_layer_norm == (found.feat_extract_norm == "layer")


def test_only_wavlm_has_buckets_of_relative_position():
    assert {name for name, found in SPEECH_ENCODERS.items() if found.num_buckets} == {
        "wavlm-base",
        "wavlm-base-plus",
        "wavlm-large",
    }


def test_any_model_is_found_and_an_unknown_one_names_the_known():
    assert dimensions("wav2vec2-base") is SPEECH_ENCODERS["wav2vec2-base"]
    assert dimensions("tiny.en") == whisper_dimensions("tiny.en")
    with pytest.raises(UnknownModelError, match=r"unknown model 'wav2vec3'; known models: tiny.*wavlm-large"):
        dimensions("wav2vec3")
    with pytest.raises(UnknownModelError, match=r"unknown speech encoder 'tiny\.en'; known ones: wav2vec2-base"):
        speech_encoder_dimensions("tiny.en")
