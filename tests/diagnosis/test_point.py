import pytest

from allophone.decide import decide, save_decision
from allophone.diagnosis.axes import AXES
from allophone.diagnosis.diagnose import diagnose
from allophone.diagnosis.point import diagnose_point
from allophone.errors import SpaceError, UsageError
from allophone.frontier.summarise import summarise_run
from builders import write_run
from star_runs import BASE, rows, write_star

BIGGER = BASE.model_copy(update={"model": "base"})
BEAM = BASE.model_copy(update={"beam_size": 5})


def test_the_recommended_point_is_the_default(tmp_path):
    folder = write_star(tmp_path / "r", {BASE: (3, 10.0), BIGGER: (2, 40.0)})
    save_decision(folder, decide(folder, {}), folder.parent / "point.json")
    found = diagnose(folder)
    assert (found.base.name, found.base_source) == (BIGGER.name, "recommended")
    found = diagnose(folder, BASE.name)
    assert (found.base.name, found.base_source) == (BASE.name, "asked")
    (folder / "decision.json").write_text("{")
    with pytest.raises(UsageError, match="not valid JSON"):
        diagnose(folder)


def test_a_decision_about_another_run_is_passed_over(tmp_path):
    other = write_star(tmp_path / "o", {BEAM: (1, 10.0)})
    folder = write_star(tmp_path / "r", {BASE: (3, 10.0), BIGGER: (2, 40.0)})
    save_decision(folder, decide(other, {}), folder.parent / "point.json")
    assert diagnose(folder).base_source == "centre"


def test_an_unknown_point_names_the_known_ones(tmp_path):
    folder = write_star(tmp_path / "r", {BASE: (3, 10.0), BIGGER: (2, 40.0)})
    with pytest.raises(SpaceError, match=f"'nope' is not in this run; measured points: {BASE.title}; {BIGGER.title}"):
        diagnose(folder, "nope")


@pytest.mark.parametrize(("n", "status"), [(4, "too few"), (40, "dominated")])
def test_too_few_utterances_leave_every_point_undecided(tmp_path, n, status):
    better = BASE.model_copy(update={"token_stride": 2})
    folder = write_run(tmp_path / "r", {BASE: rows(4, 10.0)[:n], better: rows(1, 5.0)[:n]})
    run = summarise_run(folder)
    found = diagnose_point(folder, run, BASE.name, "executed_gflops", 0.95, 0.005, AXES)
    assert found.status == status
    assert len(found.axes) == len(AXES)
    assert found.standing.name == BASE.name
