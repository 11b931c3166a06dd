import pytest

from allophone.errors import LedgerError
from allophone.frontier.summarise import summarise_run
from allophone.ledger.ledger import Ledger
from allophone.records.point import OperatingPoint
from builders import run_record, write_run

A = OperatingPoint(model="tiny.en")
B = OperatingPoint(model="base")


def test_rates_are_ratios_of_sums(tmp_path):
    rows = [
        {"hits": 8, "substitutions": 1, "deletions": 1, "insertions": 1, "duration_s": 2.0, "latency_s": 1.0},
        {"hits": 29, "substitutions": 1, "deletions": 0, "insertions": 0, "duration_s": 8.0, "latency_s": 2.0},
    ]
    (point,) = summarise_run(write_run(tmp_path / "r", {A: rows})).points
    assert point.wer == 4 / 40  # (1+1+1 + 1) errors over (10 + 30) reference words
    assert point.rtf == 3 / 10
    assert point.latency_mean_s == 1.5
    assert point.latency_p95_s == 2.0  # the smallest value that 95 % do not exceed
    assert point.executed_gflops == 40
    assert point.peak_memory_bytes == 300e6
    assert (point.n_utterances, point.audio_s) == (2, 10.0)


def test_an_utterance_that_failed_at_one_point_counts_at_none(tmp_path):
    rows = {A: [{}, {"error": "unreadable", "hits": 0}, {}], B: [{"hits": 9, "deletions": 1}, {}, {}]}
    summary = summarise_run(write_run(tmp_path / "r", rows))
    assert [point.n_utterances for point in summary.points] == [2, 2]
    assert summary.failures == (("u1", "unreadable"),)
    assert summary.notices == ("1 recordings could not be read and are left out.",)


def test_a_run_in_progress_compares_what_all_points_share_and_says_so(tmp_path):
    summary = summarise_run(write_run(tmp_path / "r", {A: [{}, {}, {}], B: [{}, {}]}))
    assert [point.n_utterances for point in summary.points] == [2, 2]
    assert summary.notices == (
        "The run is in progress: 5 of 6 rows are measured.",
        "Points are compared on the 2 of 3 utterances that all of them have.",
    )


def test_a_point_without_any_row_is_left_out_and_named(tmp_path):
    with Ledger(tmp_path / "r", run_record([A, B], 1)) as ledger:
        from builders import measurement

        ledger.append([measurement(A, 0)])
    summary = summarise_run(tmp_path / "r")
    assert [point.name for point in summary.points] == [A.name]
    assert "1 of 2 points have no measurement yet" in summary.notices[1]


def test_points_without_a_common_utterance_are_an_error(tmp_path):
    run = write_run(tmp_path / "r", {A: [{"error": "x"}], B: [{}]})
    with pytest.raises(LedgerError, match="no utterance is measured at every point"):
        summarise_run(run)


def test_a_corpus_of_silence_has_a_rate(tmp_path):
    silent = {"hits": 0, "reference": "", "hypothesis": ""}
    (point,) = summarise_run(write_run(tmp_path / "r", {A: [silent]})).points
    assert point.wer == 0


def test_unknown_memory_is_not_a_number(tmp_path):
    (point,) = summarise_run(write_run(tmp_path / "r", {A: [{"peak_memory_bytes": None}]})).points
    assert point.peak_memory_bytes != point.peak_memory_bytes
