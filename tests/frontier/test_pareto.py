import json

import pytest
from builders import write_run

from allophone.errors import SpaceError
from allophone.frontier.pareto import Frontier
from allophone.records import OperatingPoint

TINY = OperatingPoint(model="tiny.en")
STRIDED = OperatingPoint(model="tiny.en", token_stride=2)
BASE = OperatingPoint(model="base")
SLOW = OperatingPoint(model="base", beam_size=5)


def rows(wrong: int, latency_s: float, flops: int = 10**9) -> list[dict[str, object]]:
    return [{"hits": 10 - wrong, "substitutions": wrong, "latency_s": latency_s, "executed_flops": flops}]


@pytest.fixture
def run(tmp_path):
    # wer and latency: tiny (0.3, 1), strided (0.4, 1) beaten by tiny, base (0.1, 2), slow (0.1, 3) beaten by base only
    return write_run(
        tmp_path / "r",
        {TINY: rows(3, 1.0, 3), STRIDED: rows(4, 1.0, 2), BASE: rows(1, 2.0, 5), SLOW: rows(1, 3.0, 1)},
    )


def test_points_are_on_or_dominated_by_named_frontier_points(run):
    frontier = Frontier.from_run(run)
    found = {point.name: (point.status, point.dominated_by) for point in frontier.points}
    assert found == {
        TINY.name: ("on", ()),
        STRIDED.name: ("dominated", (TINY.name,)),
        BASE.name: ("on", ()),
        SLOW.name: ("dominated", (BASE.name,)),
    }
    assert [point.name for point in frontier.on] == [TINY.name, BASE.name]


def test_the_verdict_depends_on_the_cost(run):
    frontier = Frontier.from_run(run, "executed_gflops")
    assert [point.name for point in frontier.on] == [SLOW.name]  # fewest FLOPs and no more errors than any


def test_equal_points_are_both_on(tmp_path):
    frontier = Frontier.from_run(write_run(tmp_path / "r", {TINY: rows(1, 1.0), BASE: rows(1, 1.0)}))
    assert [point.status for point in frontier.points] == ["on", "on"]


def test_json_is_plain_and_whole(run):
    fields = json.loads(Frontier.from_run(run).to_json())
    assert fields["quality_name"] == "WER"
    assert [point["name"] for point in fields["points"]][0] in (TINY.name, STRIDED.name)
    assert {point["wer"] for point in fields["points"]} == {0.3, 0.4, 0.1}
    assert fields["points"][0]["point"]["model"] == "tiny.en"


def test_what_was_not_measured_is_null_in_json(tmp_path):
    run = write_run(tmp_path / "r", {TINY: [{"peak_memory_bytes": None}]})
    fields = json.loads(Frontier.from_run(run).to_json())
    assert fields["points"][0]["peak_memory_bytes"] is None


def test_quality_is_no_cost(run):
    with pytest.raises(SpaceError, match="unknown cost 'wer'; known costs: rtf"):
        Frontier.from_run(run, "wer")
