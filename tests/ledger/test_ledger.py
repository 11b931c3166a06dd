from pathlib import Path

import pytest

from allophone.errors import LedgerError
from allophone.ledger.ledger import Ledger, columns, connect
from allophone.records import OperatingPoint
from builders import measurement, run_record, write_run

A = OperatingPoint(model="tiny.en")
B = OperatingPoint(model="base")


def rows_of(folder):
    with connect(folder) as connection:
        return connection.execute(
            "SELECT point, utterance_index, hypothesis FROM measurements ORDER BY 1, 2"
        ).fetchall()


def test_a_point_becomes_one_parquet_file_with_its_last_row(tmp_path):
    with Ledger(tmp_path / "r", run_record([A], 2)) as ledger:
        ledger.append([measurement(A, 0)])
        assert (tmp_path / "r/measurements" / f"{A.name}.jsonl").exists()
        ledger.append([measurement(A, 1)])
    assert [path.name for path in sorted((tmp_path / "r/measurements").iterdir())] == [f"{A.name}.parquet"]
    assert [row[1] for row in rows_of(tmp_path / "r")] == [0, 1]


def test_every_column_survives_the_way_to_parquet_and_back(tmp_path):
    row = measurement(
        A, 0, hypothesis='quote " comma , Ümlaut \n line', speaker=None, peak_memory_bytes=None, window_tokens=[]
    )
    with Ledger(tmp_path / "r", run_record([A], 1)) as ledger:
        ledger.append([row])
    with connect(tmp_path / "r") as connection:
        (found,) = connection.execute("SELECT * FROM measurements").fetchall()
    assert dict(zip(columns(), found, strict=True)) == {name: getattr(row, name) for name in columns()}


def test_rows_in_flight_are_read_with_the_finished_ones(tmp_path):
    with Ledger(tmp_path / "r", run_record([A, B], 2)) as ledger:
        ledger.append([measurement(A, 0), measurement(A, 1), measurement(B, 0)])
        assert len(rows_of(tmp_path / "r")) == 3


def test_a_torn_last_line_is_dropped_and_measured_again(tmp_path):
    with Ledger(tmp_path / "r", run_record([A], 3)) as ledger:
        ledger.append([measurement(A, 0), measurement(A, 1)])
    journal = tmp_path / "r/measurements" / f"{A.name}.jsonl"
    whole = journal.read_bytes()
    for cut in (1, 10, len(whole) // 4):
        journal.write_bytes(whole[:-cut])
        with Ledger(tmp_path / "r", run_record([A], 3)) as ledger:
            assert [ledger.is_done(A.name, index) for index in range(3)] == [True, False, False]
            ledger.append([measurement(A, 1)])
        assert journal.read_bytes() == whole


def test_a_row_given_twice_is_kept_once(tmp_path):
    with Ledger(tmp_path / "r", run_record([A], 2)) as ledger:
        ledger.append([measurement(A, 0), measurement(A, 0, hypothesis="second")])
    assert rows_of(tmp_path / "r") == [(A.name, 0, measurement(A, 0).hypothesis)]


def test_a_kill_between_rename_and_removal_leaves_no_duplicate(tmp_path):
    write_run(tmp_path / "r", {A: [{}, {}]})
    journal = tmp_path / "r/measurements" / f"{A.name}.jsonl"
    journal.write_text("stale\n")
    assert len(rows_of(tmp_path / "r")) == 2
    with Ledger(tmp_path / "r", run_record([A], 2)) as ledger:
        assert ledger.count_done(A.name) == 2
    assert not journal.exists()


def test_a_kill_before_the_rename_finishes_at_the_next_start(tmp_path):
    with Ledger(tmp_path / "r", run_record([A], 3)) as ledger:
        ledger.append([measurement(A, 0), measurement(A, 1)])
    # The journal is whole for a corpus of two: as if killed after the last row and before the Parquet file.
    with Ledger(tmp_path / "r", run_record([A], 2)) as ledger:
        assert ledger.count_done(A.name) == 2
    assert (tmp_path / "r/measurements" / f"{A.name}.parquet").exists()


def test_two_writers_are_refused(tmp_path):
    with Ledger(tmp_path / "r", run_record([A], 1)), pytest.raises(LedgerError, match="another sweep is writing"):
        Ledger(tmp_path / "r", run_record([A], 1))
    Ledger(tmp_path / "r", run_record([A], 1)).close()


def test_reading_what_is_no_run_names_the_remedy(tmp_path):
    with pytest.raises(LedgerError, match="no such run"):
        connect(tmp_path / "none")
    with pytest.raises(LedgerError, match=r"holds no run\.json"):
        connect(tmp_path)
    Ledger(tmp_path / "r", run_record([A], 1)).close()
    with pytest.raises(LedgerError, match="nothing is measured yet"):
        connect(tmp_path / "r")


def test_measurements_without_a_column_or_damaged_are_an_error_that_names_the_remedy(tmp_path):
    import duckdb

    run = write_run(tmp_path / "r", {A: [{}]})
    file = run / "measurements" / f"{A.name}.parquet"
    duckdb.execute(f"COPY (SELECT * EXCLUDE latency_s FROM read_parquet('{file}')) TO '{file}.2' (FORMAT parquet)")
    file.with_suffix(".parquet.2").replace(file)
    with pytest.raises(LedgerError, match=r"latency_s.*Use the version that wrote it"):
        connect(run)
    file.write_bytes(b"no parquet")
    with pytest.raises(LedgerError, match="cannot be read"):
        connect(run)


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "r").write_text("not a folder")
    with pytest.raises(LedgerError, match="cannot be written"):
        Ledger(tmp_path / "r", run_record([A], 1))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_keeps_what_was_measured(tmp_path):
    with Ledger(tmp_path / "r", run_record([A], 3)) as ledger:
        ledger.append([measurement(A, 0)])
        ledger._journals[A.name].close()
        ledger._journals[A.name] = full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115
        with pytest.raises(LedgerError, match="No space left on device"):
            ledger.append([measurement(A, 1)])
        ledger._journals.pop(A.name)
        with pytest.raises(OSError, match="No space left"):
            full.close()
    with Ledger(tmp_path / "r", run_record([A], 3)) as ledger:
        assert [ledger.is_done(A.name, index) for index in range(3)] == [True, False, False]
