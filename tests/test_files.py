import hashlib
import os

import pytest
from pydantic import BaseModel

from allophone.errors import CorpusError, LedgerError, UsageError
from allophone.files import file_sha256, finite_or_null, json_text, load_toml, read_record, whole_file, write_whole
from builders import small_files


class Card(BaseModel):
    schema_version: int = 1
    name: str


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    path = tmp_path / "new" / "card.json"
    write_whole(path, "first")

    def fail():
        with whole_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail()
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["card.json"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"card\.json: cannot be written"):
        write_whole(tmp_path / "file" / "card.json", "{}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "'schema_version' is None, expected 1"),
        ('{"schema_version": 2, "name": "a"}', "'schema_version' is 2, expected 1"),
        ('{"schema_version": 1, "name": 5}', "field 'name'"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_with_the_remedy(tmp_path, text, message):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(CorpusError, match=rf"card\.json: .*{message}.*Make another\."):
        read_record(tmp_path / "card.json", Card, 1, "Make another.", error=CorpusError)
    with pytest.raises(UsageError, match="cannot be read"):
        read_record(tmp_path / "absent.json", Card, 1, "Make another.", error=CorpusError)


def test_a_record_reads_back(tmp_path):
    write_whole(tmp_path / "card.json", Card(name="a").model_dump_json())
    assert read_record(tmp_path / "card.json", Card, 1, "") == Card(name="a")


def test_files_are_hashed_as_one(tmp_path):
    for name, data in (("a", b"x" * (1 << 20)), ("b", b"yz")):
        (tmp_path / name).write_bytes(data)
    whole = hashlib.sha256(b"x" * (1 << 20) + b"yz").hexdigest()
    assert file_sha256(tmp_path / "a", tmp_path / "b") == whole


@pytest.mark.parametrize(
    "name", ["x", "x" * 200, "x" * 246, "x" * 255, "字" * 84 + "abc", "字" * 85, "é" * 127, ".hidden"]
)
def test_a_name_that_fits_is_written(tmp_path, name):
    write_whole(tmp_path / name, "text")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "text"


def test_a_name_too_long_is_an_error_that_names_it(tmp_path):
    with pytest.raises(LedgerError, match="x: cannot be written: File name too long"):
        write_whole(tmp_path / ("x" * 256), "text")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_the_file_that_was_there(tmp_path):
    write_whole(tmp_path / "x", "first")
    with small_files(10), pytest.raises(LedgerError, match="x: cannot be written: File too large"):
        write_whole(tmp_path / "x", "second, and longer than the disk has room for")
    assert (tmp_path / "x").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_json_nested_too_deeply_is_no_json(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(UsageError, match=r"card\.json: not valid JSON"):
        read_record(tmp_path / "card.json", Card, 1, "Make another.")


def test_toml_that_cannot_be_read_is_told_with_the_remedy(tmp_path):
    (tmp_path / "a.toml").write_text("a = [1, 2]")
    assert load_toml(tmp_path / "a.toml", "Mend it.") == {"a": [1, 2]}
    (tmp_path / "a.toml").write_text("a = ")
    for path, told in ((tmp_path / "a.toml", "not valid TOML"), (tmp_path / "b.toml", "cannot be read")):
        with pytest.raises(UsageError, match=rf"{path.name}: {told}.*Mend it\."):
            load_toml(path, "Mend it.")


def test_what_json_cannot_hold_becomes_null_at_any_depth():
    found = {"a": (1.0, float("nan")), "b": {"c": [float("-inf"), 0, "ü", None, True]}}
    assert finite_or_null(found) == {"a": [1.0, None], "b": {"c": [None, 0, "ü", None, True]}}
    assert json_text({"a": float("inf"), "b": "ü"}) == '{\n "a": null,\n "b": "ü"\n}'
