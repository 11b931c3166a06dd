import pytest

from allophone.errors import SpaceError, UsageError
from allophone.frontier.pareto import Frontier
from allophone.frontier.summarise import summarise_run
from allophone.ledger.race_record import read_race
from allophone.ledger.readers import connect
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.recognition.study import STUDY_FILE
from allophone.sweeps.space import SearchSpace
from builders import write_tones

SPACE = SearchSpace(
    model=("fake:tiny", "fake:large-v3"), context=("full", "fit"), margin_s=(1, 4), floor_s=(0,), token_stride=(1, 2, 3)
)  # 2 models x 3 contexts x 3 strides x 2 beams = 36 points
COST = "executed_gflops"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    manifest = write_tones(folder / "c", n=6, n_speakers=3)
    result = sweep(manifest, out=folder / "r", space=SPACE, plan="joint", trials=10, cost=COST)
    return folder, manifest, result


def measured(folder):
    with connect(folder) as connection:
        return dict(connection.execute("SELECT point, count(*) FROM measurements GROUP BY 1").fetchall())


def test_as_many_points_as_asked_for_are_whole_and_no_other_is_begun(searched):
    folder, _, result = searched
    assert result.rows == 10 * 6
    assert set(measured(folder / "r").values()) == {6}
    assert len(measured(folder / "r")) == 10


def test_the_centre_of_every_model_comes_first(searched):
    folder, _, _ = searched
    assert {"fake.tiny-full-s1-int8-b5", "fake.large-v3-full-s1-int8-b5"} <= set(measured(folder / "r"))


def test_the_frontier_says_that_it_is_a_search_and_not_that_rows_are_missing(searched):
    folder, _, _ = searched
    notices = Frontier.from_run(folder / "r", COST).run.notices
    told = [notice for notice in notices if "Other work ran" not in notice]  # true of a busy machine's times
    assert told == ["A joint search: 10 of the space's 36 points are measured."]


def test_the_same_command_measures_nothing_and_more_trials_go_on(searched):
    folder, manifest, _ = searched
    again = sweep(manifest, out=folder / "r", space=SPACE, plan="joint", trials=10, cost=COST)
    assert (again.engine_s, again.rows) == (0, 60)
    before = set(measured(folder / "r"))
    more = sweep(manifest, out=folder / "r", space=SPACE, plan="joint", trials=13, cost=COST)
    assert more.rows == 78
    assert before < set(measured(folder / "r"))


def test_a_search_stopped_within_a_point_keeps_its_rows_and_goes_on(searched, tmp_path):
    _, manifest, _ = searched

    class StopError(Exception):
        pass

    def stop(now):
        if now.done == 8:
            raise StopError

    with pytest.raises(StopError):
        sweep(manifest, out=tmp_path / "r", space=SPACE, plan="joint", trials=4, cost=COST, progress=stop)
    assert sum(measured(tmp_path / "r").values()) == 8
    assert (tmp_path / "r" / STUDY_FILE).exists()
    result = sweep(manifest, out=tmp_path / "r", space=SPACE, plan="joint", trials=4, cost=COST)
    assert result.rows >= 24  # the point that was cut off may wait for its turn


def test_a_limit_on_compute_is_kept_before_anything_is_measured(searched, tmp_path):
    _, manifest, _ = searched
    sweep(
        manifest, out=tmp_path / "r", space=SPACE, plan="joint", trials=20, cost=COST, limits={"executed_gflops": 60.0}
    )
    points = summarise_run(tmp_path / "r").points
    assert {point.point.model for point in points} >= {"fake:tiny"}
    assert all(point.executed_gflops <= 60 * 1.05 for point in points)  # the prediction assumes a speaking rate
    with pytest.raises(SpaceError, match="no point of the space costs"):
        sweep(manifest, out=tmp_path / "s", space=SPACE, plan="joint", cost=COST, limits={"executed_gflops": 0.1})


def test_a_limit_on_time_steers_the_search(searched, tmp_path):
    _, manifest, _ = searched
    sweep(manifest, out=tmp_path / "r", space=SPACE, plan="joint", trials=3, limits={"rtf": 1e-9})
    import optuna

    study = optuna.load_study(study_name="joint", storage=f"sqlite:///{tmp_path / 'r' / STUDY_FILE}")
    stored = [trial.system_attrs for trial in study.trials if trial.values]
    assert all(any(value > 0 for key, value in attributes.items() if "constraint" in key) for attributes in stored)


def test_a_small_space_is_measured_whole(tmp_path):
    space = SearchSpace(model=("fake:tiny",), context=("full",), token_stride=(1, 2), beam_size=(1,))
    manifest = write_tones(tmp_path / "c", n=2)
    assert sweep(manifest, out=tmp_path / "r", space=space, plan="joint", trials=50).rows == 4


def test_impossible_searches_are_refused(searched, tmp_path):
    _, manifest, _ = searched
    with pytest.raises(SpaceError, match="at least one"):
        sweep(manifest, out=tmp_path / "a", space=SPACE, plan="joint", trials=0)
    with pytest.raises(UsageError, match="cannot be opened"):
        sweep(manifest, out=tmp_path / "b", space=SPACE, plan="joint", storage="nonsense://x")
    with pytest.raises(SpaceError, match="unknown objective 'beauty'"):
        sweep(manifest, out=tmp_path / "c", space=SPACE, plan="joint", limits={"beauty": 1.0})


def test_a_corpus_of_many_utterances_is_tried_on_the_first_look_and_then_raced(searched, tmp_path):
    manifest = write_tones(tmp_path / "c", n=40, n_speakers=10)
    result = sweep(manifest, out=tmp_path / "r", space=SPACE, plan="joint", trials=8, cost=COST)
    counts, gone = measured(tmp_path / "r"), {item.point: item.utterances for item in read_race(tmp_path / "r")[1]}
    assert len(counts) == 8
    assert gone
    assert {name: rows for name, rows in counts.items() if rows < 40} == gone  # the first look has 20
    assert result.rows == sum(counts.values())
    assert f"{len(counts)} of the space's 36 points" in summarise_run(tmp_path / "r").notices[0]
