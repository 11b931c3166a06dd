import pytest

from allophone.errors import LedgerError
from allophone.ledger.twin_record import TWIN_FILE, TwinRow, add_twins, read_twins

ROWS = [TwinRow("a", index, 0.5 + index, 0.4, None, 300_000_000) for index in range(3)]


def test_rows_come_back_by_their_key(tmp_path):
    assert read_twins(tmp_path) == {}
    add_twins(tmp_path, ROWS[:2])
    add_twins(tmp_path, ROWS[2:])
    assert read_twins(tmp_path) == {("a", index, 0): ROWS[index] for index in range(3)}


def test_a_line_that_a_kill_cut_short_is_no_row_and_is_written_over(tmp_path):
    add_twins(tmp_path, ROWS[:2])
    path = tmp_path / TWIN_FILE
    path.write_bytes(path.read_bytes()[:-9])
    assert list(read_twins(tmp_path).values()) == ROWS[:1]
    add_twins(tmp_path, ROWS[1:])
    assert list(read_twins(tmp_path).values()) == ROWS


def test_a_damaged_file_names_the_remedy(tmp_path):
    (tmp_path / TWIN_FILE).write_text("{}\n")
    with pytest.raises(LedgerError, match=r"twin\.jsonl: damaged.*delete it"):
        read_twins(tmp_path)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(LedgerError, match="cannot be written"):
        add_twins(tmp_path / "none", ROWS)
