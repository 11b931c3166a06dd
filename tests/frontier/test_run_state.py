"""A run's state from a small table of measurements."""

import duckdb
import pytest

from allophone.decide import decide
from allophone.errors import LedgerError
from allophone.frontier.run_state import RunState, materialise_numbers, progress_notices, select_points, share_rows
from allophone.frontier.summarise import summarise_run
from allophone.records.point import OperatingPoint
from builders import write_run

A = OperatingPoint(model="tiny.en")
IDLE = {"latency_s": 1.0, "cpu_s": 0.95, "load_average": 1.2, "threads": 1}


def notices(folder, **changes):
    return " ".join(summarise_run(write_run(folder, {A: [{**IDLE, **changes}] * 5})).notices)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cpu_s": 1.9, "threads": 2, "load_average": 2.4},  # two threads, one of them half idle
        {"cpu_s": None, "load_average": None, "threads": None},  # older runs, or a system that does not tell
        {"cpu_s": None},  # a GPU
    ],
)
def test_a_machine_that_did_nothing_else_needs_no_notice(tmp_path, changes):
    assert notices(tmp_path / "r", **changes) == ""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cpu_s": 0.5}, "(wall time was 2.00 times the processor time, in the median row)"),
        ({"load_average": 3.04}, "(the system had a load of 3.0 beside 1 thread of its own, in the median row)"),
        ({"cpu_s": None, "load_average": 9, "threads": 4}, "a load of 9.0 beside 4 threads of its own"),
        ({"cpu_s": 0.8, "load_average": 2}, "1.25 times the processor time, and the system had a load of 2.0"),
    ],
)
def test_other_work_is_told_with_the_figures(tmp_path, changes, told):
    found = notices(tmp_path / "r", **changes)
    assert told in found
    assert "--wait-for-idle" in found


def test_a_busy_minute_does_not_make_a_busy_run_and_every_table_tells_of_one(tmp_path):
    rows = [IDLE, IDLE, IDLE, {**IDLE, "cpu_s": 0.2}, {**IDLE, "cpu_s": 0.2}]
    assert summarise_run(write_run(tmp_path / "a", {A: rows})).notices == ()
    run = write_run(tmp_path / "b", {A: [*rows, {**IDLE, "cpu_s": 0.2}, {**IDLE, "cpu_s": 0.2}]})
    assert any("Other work ran" in line for line in decide(run, {}, "rtf").explanation)


@pytest.fixture
def measured():
    connection = duckdb.connect()
    connection.execute(
        "CREATE VIEW measurements AS SELECT * FROM (VALUES ('a', 'u0', 'said', [0.1]), ('a', 'u1', 'said', [0.2]), "
        "('b', 'u0', 'said', [0.3])) AS rows(point, utterance_id, reference, posterior)"
    )
    return connection


def test_texts_and_lists_are_left_out(measured):
    materialise_numbers(measured)
    assert [name for name, *_ in measured.execute("DESCRIBE measurements").fetchall()] == ["point", "utterance_id"]
    assert measured.execute("SELECT count(*) FROM measurements").fetchone() == (3,)


def test_points_without_rows_are_not_asked(measured, tmp_path):
    assert select_points(measured, tmp_path, ["a", "b", "c"]) == {"a": 2, "b": 1}
    assert sorted(measured.execute("SELECT name FROM asked").fetchall()) == [("a",), ("b",)]


def test_only_the_points_among_count(measured, tmp_path):
    assert select_points(measured, tmp_path, ["a", "b"], among={"b"}) == {"b": 1}
    assert measured.execute("SELECT name FROM asked").fetchall() == [("b",)]


def test_a_run_without_rows_is_refused(measured, tmp_path):
    with pytest.raises(LedgerError, match="no point of this run is measured yet"):
        select_points(measured, tmp_path, ["c"])


def test_a_finished_run_needs_no_notice():
    assert progress_notices(RunState({"a": 3, "b": 3}, 2, 0, 3, 0), 3, 3, "read") == []


def test_what_is_missing_is_said():
    assert progress_notices(RunState({"a": 2, "b": 1}, 3, 0, 1, 1), 3, 3, "used") == [
        "The run is in progress: 3 of 9 rows are measured.",
        "1 of 3 points have no measurement yet and are left out.",
        "1 recordings could not be used and are left out.",
        "Points are compared on the 1 of 3 utterances that all of them have.",
    ]


def test_failed_recordings_are_not_missing_from_the_shared_ones():
    found = progress_notices(RunState({"a": 3, "b": 3}, 2, 0, 2, 1), 3, 3, "read")
    assert found == ["1 recordings could not be read and are left out."]


def test_rows_are_shared_where_every_point_has_one_of_the_same_keys_without_error():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE asked AS SELECT unnest(['a', 'b']) AS name")
    connection.execute(
        "CREATE TABLE measurements AS SELECT * FROM (VALUES ('a', 0, 0, NULL), ('b', 0, 1, NULL), ('a', 1, 0, NULL), "
        "('b', 1, 0, NULL), ('a', 2, 0, NULL), ('b', 2, 0, 'lost'), ('c', 3, 0, NULL)) "
        "AS t(point, utterance_index, seed, error)"
    )
    share_rows(connection, ("utterance_index", "seed"), 2)
    assert connection.execute("SELECT * FROM shared").fetchall() == [(1, 0)]
    connection.execute("DROP TABLE shared")
    share_rows(connection, ("utterance_index",), 2)
    assert sorted(connection.execute("SELECT * FROM shared").fetchall()) == [(0,), (1,)]
