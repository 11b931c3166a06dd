import pytest

from allophone.dimensions.speech_encoders import SPEECH_ENCODERS, dimensions, speech_encoder_dimensions
from allophone.dimensions.whisper import AUDIO_TOKEN_S, WHISPER_MODELS, prompt_names, whisper_dimensions
from allophone.errors import UnknownModelError, UsageError


@pytest.mark.parametrize("name", WHISPER_MODELS)
def test_every_whisper_row_is_consistent(name):
    dims = whisper_dimensions(name)
    assert dims == dimensions(name)
    assert dims.n_audio_state == dims.n_text_state
    assert dims.n_audio_state == 64 * dims.n_audio_head  # heads are 64 wide in every release
    assert dims.n_text_state == 64 * dims.n_text_head
    assert (dims.n_audio_ctx, dims.n_text_ctx) == (1500, 448)
    assert dims.multilingual is not name.endswith(".en")
    assert dims.n_vocab == 51_864 + (1 if dims.multilingual else 0) + (1 if name.startswith("large-v3") else 0)
    assert dims.n_mels == (128 if name.startswith("large-v3") else 80)


def test_only_turbo_has_fewer_decoder_layers():
    fewer = [name for name, dims in WHISPER_MODELS.items() if dims.n_text_layer != dims.n_audio_layer]
    assert fewer == ["large-v3-turbo"]
    assert WHISPER_MODELS["large-v3-turbo"].n_text_layer == 4


@pytest.mark.parametrize("name", SPEECH_ENCODERS)
def test_every_speech_encoder_row_is_consistent(name):
    dims = speech_encoder_dimensions(name)
    assert dims == dimensions(name)
    assert len(dims.conv_dim) == len(dims.conv_kernel) == len(dims.conv_stride) == 7
    step = 1
    for stride in dims.conv_stride:
        step *= stride
    assert step / 16_000 == AUDIO_TOKEN_S
    assert dims.hidden_size == 64 * dims.num_attention_heads
    assert dims.intermediate_size == 4 * dims.hidden_size
    assert dims.num_hidden_layers == (24 if "large" in name else 12)
    assert dims.stable_layer_norm is (dims.feat_extract_norm == "layer")
    assert dims.num_buckets == (320 if name.startswith("wavlm") else 0)


def test_unknown_names_name_the_known_ones():
    with pytest.raises(UnknownModelError, match=r"'huge'; known models: tiny, .*large-v3-turbo"):
        whisper_dimensions("huge")
    with pytest.raises(UnknownModelError, match="wavlm-base-plus"):
        speech_encoder_dimensions("tiny")
    with pytest.raises(UnknownModelError, match=r"large-v3-turbo, wav2vec2-base.*wavlm-large"):
        dimensions("huge")


def test_the_prompt_names_language_and_task_where_the_vocabulary_has_them():
    start, plain = "<|startoftranscript|>", "<|notimestamps|>"
    assert prompt_names(whisper_dimensions("tiny.en"), "en") == (start, plain)
    assert prompt_names(whisper_dimensions("tiny"), "de") == (start, "<|de|>", "<|transcribe|>", plain)
    with pytest.raises(UsageError, match="language 'de': this model knows English only"):
        prompt_names(whisper_dimensions("tiny.en"), "de")
