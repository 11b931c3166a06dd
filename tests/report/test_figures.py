import pytest

from allophone.frontier.pareto import Frontier
from allophone.records.point import OperatingPoint
from allophone.report.figures import draw_frontier, frontier_figure
from builders import write_run

TINY = OperatingPoint(model="tiny.en")
BASE = OperatingPoint(model="base")
WORSE = OperatingPoint(model="base", token_stride=2)


@pytest.fixture
def frontier(tmp_path):
    def rows(wrong, latency_s):
        row = {"hits": 10 - wrong, "substitutions": wrong, "latency_s": latency_s}
        return [{**row, "speaker": f"s{index}"} for index in range(30)]

    return Frontier.from_run(write_run(tmp_path / "r", {TINY: rows(3, 0.2), BASE: rows(1, 2.0), WORSE: rows(2, 2.0)}))


def test_the_figure_is_in_the_units_people_read(frontier):
    figure = frontier_figure(frontier, chosen=BASE.name)
    assert [(point.name, round(point.x, 9), point.y, point.nondominated) for point in figure.points] == [
        (TINY.name, 0.02, 30.0, True),
        (BASE.name, 0.2, 10.0, True),
        (WORSE.name, 0.2, 20.0, False),
    ]
    assert figure.y_title == "WER (%)"


def test_a_wide_range_of_costs_gets_a_logarithmic_axis_with_whole_labels(frontier):
    figure = frontier_figure(frontier)
    assert figure.log_x  # 0.2 / 0.02 = 10
    assert {0.02, 0.05, 0.1, 0.2} <= {round(tick, 6) for tick in figure.ticks}


def test_a_narrow_range_stays_linear(tmp_path):
    run = write_run(tmp_path / "n", {TINY: [{"latency_s": 1.0}], BASE: [{"latency_s": 3.0}]})
    assert not frontier_figure(Frontier.from_run(run)).log_x


def test_a_cost_that_was_not_measured_is_not_drawn(tmp_path):
    run = write_run(tmp_path / "n", {TINY: [{"peak_memory_bytes": None}], BASE: [{}]})
    figure = frontier_figure(Frontier.from_run(run, "peak_memory_bytes"))
    assert [point.name for point in figure.points] == [BASE.name]


def test_dominated_points_are_grey_and_the_choice_is_ringed(frontier):
    drawn = draw_frontier(frontier_figure(frontier, chosen=TINY.name))
    by_name = {trace.name: trace for trace in drawn.data if trace.name}
    assert list(by_name["base, dominated"].x) == [0.2]
    assert by_name["base, dominated"].marker.color == "#b5b5b5"
    assert by_name["recommended"].y == (30.0,)
    assert {"tiny.en, on", "base, on"} <= set(by_name)
