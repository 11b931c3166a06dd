"""A run's state from a small table of measurements."""

import duckdb
import pytest

from allophone.errors import LedgerError
from allophone.frontier.run_state import ask_points, load_numbers, progress_notices


@pytest.fixture
def measured():
    connection = duckdb.connect()
    connection.execute(
        "CREATE VIEW measurements AS SELECT * FROM (VALUES ('a', 'u0', 'said', [0.1]), ('a', 'u1', 'said', [0.2]), "
        "('b', 'u0', 'said', [0.3])) AS rows(point, utterance_id, reference, posterior)"
    )
    return connection


def test_texts_and_lists_are_left_out(measured):
    load_numbers(measured)
    assert [name for name, *_ in measured.execute("DESCRIBE measurements").fetchall()] == ["point", "utterance_id"]
    assert measured.execute("SELECT count(*) FROM measurements").fetchone() == (3,)


def test_points_without_rows_are_not_asked(measured, tmp_path):
    assert ask_points(measured, tmp_path, ["a", "b", "c"]) == {"a": 2, "b": 1}
    assert sorted(measured.execute("SELECT name FROM asked").fetchall()) == [("a",), ("b",)]


def test_only_the_points_among_count(measured, tmp_path):
    assert ask_points(measured, tmp_path, ["a", "b"], among={"b"}) == {"b": 1}
    assert measured.execute("SELECT name FROM asked").fetchall() == [("b",)]


def test_a_run_without_rows_is_refused(measured, tmp_path):
    with pytest.raises(LedgerError, match="no point of this run is measured yet"):
        ask_points(measured, tmp_path, ["c"])


def test_a_finished_run_needs_no_notice():
    assert progress_notices(rows=(6, 6), points=(2, 2), shared=(3, 3), failed=0, done_with="read") == []


def test_what_is_missing_is_said():
    assert progress_notices(rows=(3, 9), points=(2, 3), shared=(1, 3), failed=1, done_with="used") == [
        "The run is in progress: 3 of 9 rows are measured.",
        "1 of 3 points have no measurement yet and are left out.",
        "1 recordings could not be used and are left out.",
        "Points are compared on the 1 of 3 utterances that all of them have.",
    ]


def test_failed_recordings_are_not_missing_from_the_shared_ones():
    found = progress_notices(rows=(6, 6), points=(2, 2), shared=(2, 3), failed=1, done_with="read")
    assert found == ["1 recordings could not be read and are left out."]
