import pytest

from allophone.export.rows import csv_text, failure_rows, frontier_rows, table_cell
from allophone.frontier.pareto import Frontier
from builders import write_run
from star_runs import BASE, rows, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})


def test_a_row_holds_verdict_measures_intervals_and_settings(tmp_path):
    frontier = Frontier.from_run(write_star(tmp_path / "r", {BASE: (2, 10), BEAM: (1, 20)}), "executed_gflops")
    first, second = frontier_rows(frontier)
    assert list(first)[:3] == ["name", "title", "status"]
    assert (first["name"], first["title"]) == (BASE.name, BASE.title)
    assert (first["wer"], second["wer"]) == pytest.approx((0.2, 0.1))
    assert first["wer_low"] <= first["wer"] <= first["wer_high"]
    assert "rtf_low" not in first  # not compared
    assert (first["point_beam_size"], second["point_beam_size"]) == (1, 5)
    assert first["cer"] is None  # not counted: no NaN
    assert all(isinstance(value, str | int | float | bool | type(None)) for value in first.values())


def test_failures_are_rows(tmp_path):
    lost = [*rows(1, 10)[:3], {"error": "cannot be decoded", "hits": 0}]
    frontier = Frontier.from_run(write_run(tmp_path / "r", {BASE: lost}))
    assert failure_rows(frontier) == [{"utterance_id": "u3", "error": "cannot be decoded"}]


def test_csv_has_every_column_and_nothing_for_what_is_unknown():
    rows = [{"a": float("nan"), "b": ("p", "q")}, {"a": 0.1, "c": "x, y"}]
    cells = [{name: table_cell(value) for name, value in row.items()} for row in rows]
    assert csv_text(cells) == 'a,b,c\n,p;q,\n0.1,,"x, y"\n'
