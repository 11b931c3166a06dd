import pytest

from allophone.errors import UnknownModelError
from allophone.models.engine import load_engine, text_token_cap
from allophone.models.fake import FakeEngine


@pytest.mark.parametrize(
    ("audio_s", "tokens"),
    [
        (0.0, 20),
        (0.1, 20),  # 0.8 rounds down
        (1.0, 28),  # 8 + 20
        (10.0, 100),
        (25.5, 224),  # 204 + 20
        (30.0, 224),  # 260, but half of the decoder's 448 positions at most
    ],
)
def test_the_cap_follows_the_audio(audio_s, tokens):
    assert text_token_cap(audio_s) == tokens


def test_fake_engines_are_loaded_by_their_prefix():
    engine = load_engine("fake:base.en", "int8")
    assert isinstance(engine, FakeEngine)
    assert not engine.dimensions.multilingual


@pytest.mark.parametrize("model", ["fake:huge", "fake:", "huge"])
def test_an_unknown_model_lists_the_known_ones(model):
    with pytest.raises(UnknownModelError, match=r"known models: tiny, tiny\.en"):
        load_engine(model, "int8")
