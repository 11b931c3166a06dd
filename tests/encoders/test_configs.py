import pytest

from allophone.costs.parameters import speech_encoder_parameters, whisper_encoder_parameters
from allophone.dimensions.whisper import WhisperDimensions
from allophone.encoders.configs import encoder_dimensions, family_of, quiet_transformers
from allophone.errors import UnknownModelError
from emotion_builders import FAMILIES, dims_of, tiny_encoder

pytest.importorskip("transformers")


@pytest.mark.parametrize("name", FAMILIES)
def test_dimensions_survive_the_way_through_a_configuration(name):
    encoder = tiny_encoder(name)
    if name != "whisper":  # whose decoder, which is not built, has sizes too
        assert encoder_dimensions(encoder.module.config) == dims_of(name)
    count = sum(parameter.numel() for parameter in encoder.module.parameters())
    dims = encoder.dimensions
    closed = whisper_encoder_parameters if isinstance(dims, WhisperDimensions) else speech_encoder_parameters
    assert count == closed(dims)


def test_whisper_dimensions_are_read_off_its_configuration():
    read = encoder_dimensions(tiny_encoder("whisper").module.config)
    wanted = dims_of("whisper")
    assert (read.n_mels, read.n_audio_ctx, read.n_audio_state, read.n_audio_head, read.n_audio_layer) == (
        wanted.n_mels,
        wanted.n_audio_ctx,
        wanted.n_audio_state,
        wanted.n_audio_head,
        wanted.n_audio_layer,
    )


def test_other_architectures_are_named():
    assert family_of("hubert", "x") == "hubert"
    with pytest.raises(UnknownModelError, match="'bert' is not supported; supported ones: whisper, wav2vec2"):
        family_of("bert", "x")


def test_transformers_talks_again_afterwards():
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with quiet_transformers():
        assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
