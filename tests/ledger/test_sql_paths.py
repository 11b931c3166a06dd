import os

import duckdb
import pytest

from allophone.errors import LedgerError
from allophone.ledger.ledger import Ledger
from allophone.ledger.readers import connect
from allophone.ledger.sql_paths import parquet_files, written_path
from allophone.records.point import OperatingPoint
from builders import measurement, run_record, write_run

A = OperatingPoint(model="tiny.en")
B = OperatingPoint(model="base")

# A folder's name, and a neighbour that it would find if it were read as a pattern.
NAMES = [
    ("exp[1]", "exp1"),
    ("a*b", "axxb"),
    ("q?", "qq"),
    ("**", "other"),
    ("[!x]", "y"),
    ("[a-c]", "b"),
    ("[[]", "["),
    ("]", "x"),
    ("{a,b}", "a"),
    ("it's", "its"),
    ("point=tiny", "p"),
    ("utterance_index=7", "u"),
    ("hypothesis=hacked", "h"),
    ("~", "home"),
    ("file:", "f"),
    ("s3:", "s"),
    ("$HOME", "h"),
    ("a%20b", "a b"),
    ("#1", "1"),
    ("-", "m"),
    ("new\nline", "n"),
    ("ünï 🎙", "u"),
    ("--", "c"),
]


@pytest.mark.parametrize(("name", "neighbour"), NAMES, ids=[repr(name) for name, _ in NAMES])
def test_a_run_shows_keeps_and_continues_its_own_rows_whatever_its_folder_is_called(
    tmp_path, monkeypatch, name, neighbour
):
    monkeypatch.chdir(tmp_path)
    other = write_run(tmp_path / neighbour, {A: [{"hypothesis": "other"}] * 3, B: [{"hypothesis": "other"}] * 3})
    write_run(tmp_path / name, {A: [{"hypothesis": "own"}] * 3, B: [{"hypothesis": "own"}]}, 3)
    wanted = [(A.name, index, "own") for index in range(3)] + [(B.name, 0, "own")]
    relative = os.path.relpath(tmp_path / name)  # as a user gives it
    for folder in (tmp_path / name, type(tmp_path)(relative)):
        with connect(folder) as connection:
            rows = connection.execute("SELECT point, utterance_index, hypothesis FROM measurements ORDER BY 1 DESC, 2")
            assert rows.fetchall() == wanted
        with Ledger(folder, run_record([A, B], 3)) as ledger:
            assert (ledger.count_done(A.name), ledger.count_done(B.name)) == (3, 1)
    with Ledger(tmp_path / name, run_record([A, B], 3)) as ledger:
        ledger.append([measurement(B, index, hypothesis="own") for index in (1, 2)])
    for folder, said in ((tmp_path / name, "own"), (other, "other")):
        with connect(folder) as connection:
            assert connection.execute("SELECT hypothesis, count(*) FROM measurements GROUP BY 1").fetchall() == [
                (said, 6)
            ]
        assert {path.suffix for path in (folder / "measurements").iterdir()} == {".parquet"}


def test_a_pattern_of_a_file_is_a_file(tmp_path):
    for name in ("x[1].parquet", "x1.parquet"):
        duckdb.execute(f"COPY (SELECT '{name}' AS name) TO {written_path(tmp_path / name)} (FORMAT parquet)")
        assert (tmp_path / name).is_file()
    for name in ("x[1].parquet", "x1.parquet"):
        reader = parquet_files([tmp_path / name])
        assert duckdb.execute(f"SELECT name, filename FROM {reader}").fetchall() == [(name, str(tmp_path / name))]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_folder_that_is_no_utf8_is_refused_by_name(tmp_path):
    folder = type(tmp_path)(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(LedgerError, match=r"caf\\xe9.*no UTF-8.*Rename the folder"):
        write_run(folder, {A: [{}]})
