import pytest

from allophone.dimensions.moonshine import MOONSHINE_MODELS, recognition_dimensions
from allophone.dimensions.whisper import WHISPER_MODELS
from allophone.errors import UnknownModelError

TINY = MOONSHINE_MODELS["moonshine-tiny"]


@pytest.mark.parametrize("name", MOONSHINE_MODELS)
def test_every_row_is_consistent(name):
    dims = recognition_dimensions(name)
    assert dims == MOONSHINE_MODELS[name]
    assert (dims.n_audio_state, dims.n_audio_layer) == (dims.n_text_state, dims.n_text_layer)
    assert dims.n_audio_state % dims.n_audio_head == 0
    assert dims.n_ffn == 4 * dims.n_audio_state
    assert dims.conv_dim[-1] == dims.n_audio_state
    assert not dims.multilingual


def test_lengths_by_hand():
    # 1 s: (16000 - 127) // 64 + 1 = 249; (249 - 7) // 3 + 1 = 81; (81 - 3) // 2 + 1 = 40
    assert TINY.conv_lengths(100) == (249, 81, 40)
    assert TINY.audio_tokens(3000) == TINY.n_audio_ctx == 1248


def test_the_shortest_window_makes_one_audio_token():
    # 127 + 64 · (7 - 1 + 3 · (3 - 1)) = 895 samples are one token; 5.6 frames, so 6
    assert TINY.least_frames == 6
    assert TINY.conv_lengths(6)[-1] == 1
    assert TINY.conv_lengths(2) == TINY.conv_lengths(6)


def test_one_function_knows_both_families_and_names_all():
    assert recognition_dimensions("base") == WHISPER_MODELS["base"]
    with pytest.raises(UnknownModelError, match=r"known models: tiny, .*moonshine-tiny; or give a folder"):
        recognition_dimensions("moonshine-huge")
