from pathlib import Path

import pytest

from allophone.emotion_records import EmotionMeasurement
from allophone.errors import LedgerError
from allophone.ledger.ledger import Ledger
from allophone.ledger.readers import columns, connect, failed_utterances
from allophone.records import OperatingPoint
from builders import measurement, run_record, write_run

A = OperatingPoint(model="tiny.en")
B = OperatingPoint(model="base")


def test_rows_in_flight_are_read_with_the_finished_ones(tmp_path):
    with Ledger(tmp_path / "r", run_record([A, B], 2)) as ledger:
        ledger.append([measurement(A, 0), measurement(A, 1), measurement(B, 0)])
        with connect(tmp_path / "r") as connection:
            assert connection.execute("SELECT count(*) FROM measurements").fetchall() == [(3,)]


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


def test_every_field_of_an_emotion_row_has_a_column():
    assert set(columns(EmotionMeasurement)) == set(EmotionMeasurement.__dataclass_fields__)


def test_runs_of_before_there_was_an_snr_stay_readable_and_go_on(tmp_path):
    import duckdb

    run = tmp_path / "r"
    with Ledger(run, run_record([A, B], 2)) as ledger:
        ledger.append([measurement(A, 0), measurement(A, 1), measurement(B, 0)])
    old, journal = run / f"measurements/{A.name}.parquet", run / f"measurements/{B.name}.jsonl"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT * EXCLUDE snr_db FROM '{old}') TO '{old}.new' (FORMAT parquet)")
    Path(f"{old}.new").replace(old)
    journal.write_text(journal.read_text().replace(', "snr_db": null', ""))
    for wanted in ([(None,)] * 3, [(12.5,), *[(None,)] * 3]):
        with connect(run) as connection:
            assert connection.execute("SELECT snr_db FROM measurements ORDER BY snr_db").fetchall() == wanted
        with Ledger(run, run_record([A, B], 2)) as ledger:
            ledger.append([measurement(A, 0, snr_db=99.0), measurement(B, 1, snr_db=12.5)])
    assert {path.suffix for path in (run / "measurements").iterdir()} == {".parquet"}


def test_recordings_that_failed_are_listed_once_in_the_corpus_s_order(tmp_path):
    with Ledger(tmp_path / "r", run_record([A, B], 3)) as ledger:
        broken = [measurement(point, index, error=f"reason {index}") for index in (2, 1) for point in (A, B)]
        ledger.append([measurement(A, 0), *broken])
    found = failed_utterances(tmp_path / "r")
    assert [reason for _, reason in found] == ["reason 1", "reason 2"]
