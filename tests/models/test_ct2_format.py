import struct
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allophone.dimensions.whisper import WHISPER_MODELS
from allophone.errors import WeightsError
from allophone.models.ct2_format import Variable, read_variables, whisper_dimensions_of
from allophone.models.weights import locate_weights


def string(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data


def model(shapes: dict[str, tuple[int, ...]], version: int = 6) -> bytes:
    """A model.bin in which every variable is one zero byte long."""
    parts = [struct.pack("<I", version), string("WhisperSpec"), struct.pack("<II", 3, len(shapes))]
    for name, shape in shapes.items():
        parts += [string(name), struct.pack(f"<B{len(shape)}I", len(shape), *shape), struct.pack("<BI", 0, 1), b"\0"]
    return b"".join(parts)


SHAPES = {
    "encoder/conv1/weight": (128, 80, 3),
    "encoder/position_encodings/encodings": (1500, 128),
    "encoder/layer_norm/gamma": (128,),
    "encoder/layer_0/self_attention/linear_0/weight": (384, 128),
    "encoder/layer_1/self_attention/linear_0/weight": (384, 128),
    "decoder/embeddings/weight": (51865, 128),
    "decoder/position_encodings/encodings": (448, 128),
    "decoder/layer_0/self_attention/linear_0/weight": (384, 128),
}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "model.bin").write_bytes(model(SHAPES))
    return tmp_path


@pytest.mark.parametrize("name", ["tiny.en", "base"])
def test_real_weights_have_the_dimensions_of_the_table(name):
    weights = locate_weights(name)
    if weights is None:
        pytest.skip("the weight package is not installed")
    assert whisper_dimensions_of(weights.folder) == WHISPER_MODELS[name]


def test_real_variables_lie_one_behind_the_other():
    weights = locate_weights("tiny.en")
    if weights is None:
        pytest.skip("the weight package is not installed")
    path = weights.folder / "model.bin"
    variables = sorted(read_variables(path).values(), key=lambda variable: variable.offset)
    assert variables[-1].offset + variables[-1].n_bytes <= path.stat().st_size
    for first, second in pairwise(variables):
        assert first.offset + first.n_bytes < second.offset  # between them stands the head of the second


def test_places_and_shapes(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(model({"a": (2, 3)}))
    # 4 version, 2 + 12 "WhisperSpec\0", 4 revision, 4 count = 26; 2 + 2 "a\0", 1 rank, 8 shape, 1 type, 4 bytes = 18
    assert read_variables(path) == {"a": Variable(shape=(2, 3), type_id=0, offset=44, n_bytes=1)}


def test_dimensions_are_read_off_the_shapes(folder):
    dims = whisper_dimensions_of(folder)
    assert (dims.n_mels, dims.n_audio_ctx, dims.n_audio_state, dims.n_audio_head) == (80, 1500, 128, 2)
    assert (dims.n_text_ctx, dims.n_text_state, dims.n_text_head, dims.n_vocab) == (448, 128, 2, 51865)
    assert (dims.n_audio_layer, dims.n_text_layer) == (2, 1)  # layer_norm is no layer
    assert dims.multilingual


def test_one_text_token_fewer_is_english_only(folder):
    (folder / "model.bin").write_bytes(model({**SHAPES, "decoder/embeddings/weight": (51864, 128)}))
    assert not whisper_dimensions_of(folder).multilingual


def test_every_cut_is_named(folder):
    whole = (folder / "model.bin").read_bytes()
    for length in range(len(whole)):
        (folder / "model.bin").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"model\.bin"):
            read_variables(folder / "model.bin")


@pytest.mark.parametrize("version", [0, 4, 7, 2**32 - 1])
def test_another_version_is_named(folder, version):
    (folder / "model.bin").write_bytes(model(SHAPES, version))
    with pytest.raises(WeightsError, match=rf"known version \({version}\). Convert it again"):
        whisper_dimensions_of(folder)


@pytest.mark.parametrize("name", ["encoder/conv1/weight", "decoder/embeddings/weight"])
@pytest.mark.parametrize("shape", [None, (), (5,), (1, 2, 3, 4)])
def test_a_model_that_is_not_whisper(folder, name, shape):
    shapes = {key: value for key, value in {**SHAPES, name: shape}.items() if value is not None}
    (folder / "model.bin").write_bytes(model(shapes))
    with pytest.raises(WeightsError, match=r"not a Whisper model. Give a converted"):
        whisper_dimensions_of(folder)


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(WeightsError, match=r"holds no model\.bin. Give a CTranslate2 folder"):
        whisper_dimensions_of(tmp_path)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_variables(tmp_path / "model.bin")


def read(path, content):
    """Read what may be a model; any error but a WeightsError comes through."""
    path.write_bytes(content)
    with suppress(WeightsError):
        whisper_dimensions_of(path.parent)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_weights_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "model.bin"
    read(path, content)
    read(path, struct.pack("<I", 6) + content)  # past the version


@given(st.integers(0, len(model(SHAPES)) - 1), st.binary(min_size=1, max_size=8))
def test_a_damaged_model_is_read_or_a_weights_error(tmp_path_factory, place, damage):
    whole = model(SHAPES)
    content = whole[:place] + damage + whole[place + len(damage) :]
    read(tmp_path_factory.getbasetemp() / "model.bin", content)
