import pytest

from allophone.decide import decide
from allophone.frontier.summary import summarise_run
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
    assert any("Other work ran" in line for line in decide(run, {}).explanation)
