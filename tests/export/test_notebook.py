import pytest

import allophone
from allophone.frontier import pareto
from star_runs import BASE, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})


@pytest.fixture
def frontier(tmp_path):
    run = write_star(tmp_path / "r", {BASE: (2, 10), BEAM: (1, 20)}, corpus="<script>alert(1)</script>")
    return allophone.Frontier.from_run(run, "executed_gflops")


def test_the_public_frontier_is_one_everywhere(frontier):
    assert isinstance(frontier, pareto.Frontier)
    assert allophone.recommend(frontier, {"wer": 0.5}, "executed_gflops").chosen.name == BASE.name


def test_pandas_gets_a_row_per_point(frontier):
    table = frontier.to_pandas()
    assert table.index.tolist() == [BASE.name, BEAM.name]
    assert table.loc[BEAM.name, "wer"] == pytest.approx(0.1)
    assert table["executed_gflops"].tolist() == [10, 20]


def test_the_figure_is_the_report_s(frontier):
    drawn = frontier.figure(chosen=BASE.name)
    assert any(trace.name == "recommended" for trace in drawn.data)


def test_html_is_escaped(frontier):
    shown = frontier._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert shown.count("<tr") == 3


def test_a_missing_extra_is_named(frontier, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **named):
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(allophone.AllophoneError, match=r"pandas is not installed.*\[export\]"):
        frontier.to_pandas()
