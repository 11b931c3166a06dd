from dataclasses import dataclass

import pytest

from allophone.errors import LedgerError
from allophone.ledger.record_lines import append_records, read_records


@dataclass(frozen=True)
class Note:
    text: str


def test_records_come_back_and_a_torn_last_line_is_none(tmp_path):
    path = tmp_path / "notes.jsonl"
    assert list(read_records(path, Note, "Delete it.")) == []
    append_records(path, [Note("a"), Note("b")])
    with path.open("a") as file:
        file.write('{"text": "to')
    assert list(read_records(path, Note, "Delete it.")) == [Note("a"), Note("b")]
    append_records(path, [Note("c")])
    assert list(read_records(path, Note, "Delete it.")) == [Note("a"), Note("b"), Note("c")]


def test_a_damaged_line_and_a_missing_folder_are_named(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"title": "a"}\n')
    with pytest.raises(LedgerError, match=r"notes\.jsonl: damaged .* Delete it\."):
        list(read_records(path, Note, "Delete it."))
    with pytest.raises(LedgerError, match="cannot be written"):
        append_records(tmp_path / "nowhere" / "notes.jsonl", [Note("a")])
