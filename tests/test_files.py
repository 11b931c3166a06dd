import hashlib

import pytest
from pydantic import BaseModel

from allophone.errors import CorpusError, LedgerError, UsageError
from allophone.files import file_sha256, read_record, whole_file, write_whole


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
