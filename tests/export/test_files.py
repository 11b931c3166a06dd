import csv

import duckdb
import pytest

from allophone.errors import LedgerError
from allophone.export.files import FORMATS, export_frontier
from allophone.frontier.pareto import Frontier
from allophone.records.point import EmotionSetting
from emotion_builders import write_emotion_run
from star_runs import BASE, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})


@pytest.fixture(scope="module")
def frontier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return Frontier.from_run(write_star(folder / "r", {BASE: (2, 10), BEAM: (1, 20)}), "executed_gflops")


def test_csv_and_parquet_hold_the_same_numbers(frontier, tmp_path):
    (text,) = export_frontier(frontier, "csv", tmp_path)
    (binary,) = export_frontier(frontier, "parquet", tmp_path)
    assert (text.name, binary.name) == ("frontier-executed_gflops.csv", "frontier-executed_gflops.parquet")
    with text.open(newline="") as file:
        read = list(csv.DictReader(file))
    found = duckdb.sql(f"SELECT name, wer, point_beam_size FROM '{binary}' ORDER BY wer").fetchall()
    assert found == [(BEAM.name, pytest.approx(0.1), 5), (BASE.name, pytest.approx(0.2), 1)]
    assert [(row["name"], float(row["wer"])) for row in read] == [(name, wer) for name, wer, _ in reversed(found)]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_written_into_a_folder_that_is_made(frontier, tmp_path, form):
    written = export_frontier(frontier, form, tmp_path / "a" / "b", BASE.name)
    assert len(written) == (2 if form == "card" else 1)
    assert all(path.stat().st_size > 300 for path in written)
    assert set((tmp_path / "a" / "b").iterdir()) == set(written)  # nothing half-written


def test_an_emotion_run_is_exported_too(tmp_path):
    setting = EmotionSetting(model="tiny.en", duration_s=1.0)
    found = Frontier.from_run(write_emotion_run(tmp_path / "r", {setting: [{}] * 8}))
    for form in FORMATS:
        assert export_frontier(found, form, tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_an_error(frontier, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be written"):
        export_frontier(frontier, "csv", tmp_path / "file")
