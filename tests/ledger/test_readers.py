from pathlib import Path

import pytest

from allophone.errors import LedgerError
from allophone.ledger.ledger import Ledger
from allophone.ledger.readers import columns, connect, failed_utterances
from allophone.records.measurement import EmotionMeasurement
from allophone.records.point import OperatingPoint
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


def rewritten(run, point, select):
    """Replace a finished point's file by a query over it."""
    import duckdb

    file = run / "measurements" / f"{point.name}.parquet"
    rows = f"read_parquet('{file}')"
    duckdb.execute(f"COPY ({select.format(rows=rows)}) TO '{file}.2' (FORMAT parquet)")
    Path(f"{file}.2").replace(file)
    return file


ROWS_OF_ANOTHER = {
    "twice": ("SELECT * FROM {rows} UNION ALL SELECT * FROM {rows}", "3 rows that are there twice"),
    "an index below zero": ("SELECT * REPLACE (-1 AS utterance_index) FROM {rows} LIMIT 1", "1 rows of utterances"),
    "beyond": ("SELECT * REPLACE (utterance_index + 3 AS utterance_index) FROM {rows}", "3 rows of utterances"),
    "no index": ("SELECT * REPLACE (NULL::BIGINT AS utterance_index) FROM {rows} LIMIT 1", "1 values missing"),
    "no text": ("SELECT * REPLACE (NULL::VARCHAR AS hypothesis) FROM {rows}", "3 values missing"),
    "no hits": ("SELECT * REPLACE (NULL::BIGINT AS hits) FROM {rows} LIMIT 2", "2 values missing"),
    "negative": ("SELECT * REPLACE (-5 AS hits) FROM {rows}", "3 negative counts"),
    "another point": ("SELECT * REPLACE ('x' AS point) FROM {rows}", "3 rows of another point"),
    "another normaliser": ("SELECT * REPLACE ('none' AS normalizer) FROM {rows}", "3 rows with another normalizer"),
    "another reference": ("SELECT * REPLACE ('base' AS relative_to) FROM {rows}", "3 rows with another relative_to"),
}


@pytest.mark.parametrize(("select", "said"), ROWS_OF_ANOTHER.values(), ids=ROWS_OF_ANOTHER)
def test_a_finished_point_with_rows_not_its_own_is_refused_and_kept(tmp_path, select, said):
    run = write_run(tmp_path / "r", {A: [{}] * 3, B: [{}] * 3})
    file = rewritten(run, A, select)
    before = file.read_bytes()
    record = run_record([A, B], 3)
    for read in (lambda: connect(run), lambda: failed_utterances(run), lambda: Ledger(run, record)):
        with pytest.raises(LedgerError, match=rf"{A.name}\.parquet: {said}.*or delete it"):
            read()
    assert file.read_bytes() == before
    file.unlink()
    with Ledger(run, record) as ledger:
        assert (ledger.count_done(A.name), ledger.count_done(B.name)) == (0, 3)


def test_an_index_of_text_is_refused(tmp_path):
    run = write_run(tmp_path / "r", {A: [{}] * 3})
    rewritten(run, A, "SELECT * REPLACE ('x' AS utterance_index) FROM {rows}")
    with pytest.raises(LedgerError, match=r"cannot be read.*delete a damaged file"):
        connect(run)
    with pytest.raises(LedgerError, match=r"cannot be read.*delete a damaged file"):
        Ledger(run, run_record([A], 3))


def test_a_file_of_no_point_is_passed_over_and_named(tmp_path):
    run = write_run(tmp_path / "r", {A: [{}] * 3})
    folder = run / "measurements"
    (folder / "stranger.parquet").write_bytes((folder / f"{A.name}.parquet").read_bytes())
    (folder / "stranger.jsonl").write_text("stranger")
    reading = connect(run)
    with reading as connection:
        assert connection.execute("SELECT count(*) FROM measurements").fetchall() == [(3,)]
    assert len(reading.notices) == 1
    assert "stranger.parquet: not a point of this run" in reading.notices[0]


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits_are_an_error_or_rows_and_nothing_else(tmp_path, seed):
    import random

    from allophone.frontier.summarise import summarise_run

    run = write_run(tmp_path / "r", {A: [{}] * 3})
    file = run / "measurements" / f"{A.name}.parquet"
    chance, content = random.Random(seed), bytearray(file.read_bytes())
    for _ in range(20):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)
    said = ""
    try:
        n_utterances = summarise_run(run).points[0].n_utterances
    except LedgerError as error:
        said, n_utterances = str(error), 0
    assert n_utterances == 3 or "measurements" in said


def test_an_error_of_a_query_names_the_folder(tmp_path):
    run = write_run(tmp_path / "r", {A: [{}] * 3})
    with connect(run) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(LedgerError, match=r"measurements: cannot be read"), connect(run) as connection:
        connection.execute("SELECT no_such_column FROM measurements")


def test_a_run_is_read_while_its_points_are_finished(tmp_path):
    import threading

    points = [OperatingPoint(model="tiny.en", token_stride=stride) for stride in range(1, 30)]
    run, done, seen = tmp_path / "r", threading.Event(), []
    with Ledger(run, run_record(points, 2)) as ledger:
        ledger.append([measurement(points[0], 0)])

        def write():
            for point in points:
                ledger.append([measurement(point, 0), measurement(point, 1)])
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            with connect(run) as connection:
                seen.append(connection.execute("SELECT count(*) FROM measurements").fetchall()[0][0])
        writer.join()
    assert seen == sorted(seen)  # a point that became a file between two looks is in none of them twice, and in one
    assert len(seen) > 2
