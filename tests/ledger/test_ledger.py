import os
from pathlib import Path

import pytest

from allophone.errors import LedgerError
from allophone.ledger.ledger import Ledger
from allophone.ledger.readers import columns, connect
from allophone.records.point import EmotionSetting, OperatingPoint
from builders import measurement, run_record, small_files, write_run
from emotion_builders import emotion_record, emotion_row

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


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "r").write_text("not a folder")
    with pytest.raises(LedgerError, match="cannot be written"):
        Ledger(tmp_path / "r", run_record([A], 1))


def test_a_damaged_file_is_named_and_measured_again_once_it_is_deleted(tmp_path):
    run = write_run(tmp_path / "r", {A: [{}, {}]})
    damaged = run / "measurements" / f"{A.name}.parquet"
    damaged.write_bytes(damaged.read_bytes()[:500])
    with pytest.raises(LedgerError, match=rf"cannot be read \(.*{damaged.name}.*delete a damaged file") as writing:
        Ledger(run, run_record([A], 2))
    with pytest.raises(LedgerError) as reading:
        connect(run)
    assert str(writing.value) == str(reading.value)
    damaged.unlink()
    with Ledger(run, run_record([A], 2)) as ledger:
        assert ledger.count_done(A.name) == 0


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


EMOTION = EmotionSetting(model="tiny.en", duration_s=1.0)


def emotion_rows_of(folder):
    with connect(folder) as connection:
        return connection.execute(
            "SELECT utterance_index, seed, fold, posterior, latency_s, correct FROM measurements ORDER BY 2, 1"
        ).fetchall()


def test_an_emotion_point_is_whole_with_the_rows_of_its_folds_and_seeds(tmp_path):
    record = emotion_record([EMOTION], 8, seeds=(0, 1), n_tested=2)
    parquet = tmp_path / "r/measurements" / f"{EMOTION.name}.parquet"
    with Ledger(tmp_path / "r", record) as ledger:
        ledger.append([emotion_row(EMOTION, 1), emotion_row(EMOTION, 5, error="silent")])
        ledger.append([emotion_row(EMOTION, 1)])  # again, as after a kill
        assert (ledger.count_done(EMOTION.name), parquet.exists()) == (2, False)
        ledger.append([emotion_row(EMOTION, index, seed=1) for index in (1, 5)])
        assert parquet.exists()
        assert ledger.is_done(EMOTION.name, 5, 1)
        assert not ledger.is_done(EMOTION.name, 4, 1)
    found = emotion_rows_of(tmp_path / "r")
    assert [row[:2] for row in found] == [(1, 0), (5, 0), (1, 1), (5, 1)]
    assert found[0][3:] == ([0.2, 0.8], 0.1, True)
    assert found[1][3:] == ([], None, False)


def test_a_finished_point_is_opened_again_for_more_folds(tmp_path):
    with Ledger(tmp_path / "r", emotion_record([EMOTION], 8, n_tested=2)) as ledger:
        ledger.append([emotion_row(EMOTION, index) for index in (0, 1)])
    before = emotion_rows_of(tmp_path / "r")
    wider = emotion_record([EMOTION], 8, n_tested=4, folds=("fold-0", "fold-1"))
    with Ledger(tmp_path / "r", wider) as ledger:
        assert emotion_rows_of(tmp_path / "r") == before
        ledger.append([emotion_row(EMOTION, index, fold="fold-1") for index in (4, 5)])
    assert [path.suffix for path in (tmp_path / "r/measurements").iterdir()] == [".parquet"]
    assert emotion_rows_of(tmp_path / "r")[:2] == before
    assert len(emotion_rows_of(tmp_path / "r")) == 4


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
@pytest.mark.parametrize("n_bytes", [0, 100, 1200, 3000])
def test_a_full_disk_is_one_error_and_lets_the_run_go(tmp_path, n_bytes):
    folder, record = tmp_path / "r", run_record([A], 3)
    write_run(folder, {A: [{}]}, 3)
    kept = None

    def measure():
        with Ledger(folder, record) as ledger:
            ledger.append([measurement(A, index) for index in range(3)])

    with small_files(n_bytes):
        try:
            measure()
        except LedgerError as error:  # kept, as a notebook keeps the last error
            kept = error
    assert "cannot be written: File too large" in str(kept)
    measure()
    assert len(rows_of(folder)) == 3


def test_a_run_that_cannot_be_continued_keeps_its_record(tmp_path):
    folder = write_run(tmp_path / "r", {A: [{}, {}]})
    before = (folder / "run.json").read_bytes()
    (folder / "measurements" / f"{A.name}.parquet").write_bytes(b"damaged")
    with pytest.raises(LedgerError, match="cannot be read"):
        Ledger(folder, run_record([A, B], 2))
    assert (folder / "run.json").read_bytes() == before
