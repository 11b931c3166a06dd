import pytest

from allophone.errors import LedgerError
from allophone.ledger.trained_units import UNITS_FILE, add_unit, read_units
from emotion_builders import trained_unit


def test_units_read_back_by_point_fold_and_seed(tmp_path):
    assert read_units(tmp_path) == {}
    units = [trained_unit("a"), trained_unit("a", fold="fold-1"), trained_unit("a", seed=1)]
    for unit in units:
        add_unit(tmp_path, unit)
    assert list(read_units(tmp_path).values()) == units
    assert ("a", "fold-1", 0) in read_units(tmp_path)


def test_a_line_that_a_kill_cut_short_is_no_unit_and_is_written_over(tmp_path):
    add_unit(tmp_path, trained_unit("a"))
    with (tmp_path / UNITS_FILE).open("a") as file:
        file.write('{"point": "b", "fo')
    assert [key[0] for key in read_units(tmp_path)] == ["a"]
    add_unit(tmp_path, trained_unit("c"))
    assert [key[0] for key in read_units(tmp_path)] == ["a", "c"]


def test_a_damaged_line(tmp_path):
    (tmp_path / UNITS_FILE).write_text('{"point": "b"}\n')
    with pytest.raises(LedgerError, match=r"units\.jsonl: damaged.*Restore it"):
        read_units(tmp_path)
