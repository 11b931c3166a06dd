import pytest

from allophone.diagnosis.axes import AXES
from allophone.diagnosis.axis_verdict import judge_axis
from allophone.diagnosis.elasticity import PairedChanges
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from star_runs import BASE, write_star

BEAM = next(axis for axis in AXES if axis.name == "beam_size")
ONE, TWO, FIVE = (BASE.model_copy(update={"beam_size": size}) for size in (1, 2, 5))
MIXED = [2, 2, 3, 1, 2] * 8
OPEN = [3, 1, 2, 3, 1] * 8  # as many errors as MIXED in all, at other speakers


def judge(folder, points, base=0, n=40, **options):
    summary = summarise_run(write_star(folder, points))
    resample = draw_blocks(summary.samples.speakers, n_replicates=400)
    changes = PairedChanges(summary.samples, "executed_gflops", resample, 0.95, options.pop("margin", 0.005))
    points = [item.point for item in summary.points]
    return judge_axis(BEAM, points, base, changes, **{"enough": True, **options})


def test_a_dearer_setting_that_surely_makes_fewer_errors_pays(tmp_path):
    found = judge(tmp_path / "r", {ONE: (3, 10.0), TWO: (2, 20.0), FIVE: (1, 80.0)})
    assert found.status == "pays"
    # 10 points for one doubling against 20 points for three
    assert found.costlier_improvement.setting == found.unproven_improvement.setting == "2"
    assert found.settings == ("1", "2", "5")
    assert (found.exhausted, found.free_improvement, found.safe_saving, found.unproven_saving) == (
        False,
        None,
        None,
        None,
    )
    assert found.here.pairs == 2
    assert found.everywhere.pairs == 3


def test_fewer_errors_for_no_more_money_are_free(tmp_path):
    found = judge(tmp_path / "r", {ONE: (3, 10.0), TWO: (2, 5.0), FIVE: (1, 10.0)})
    assert (found.status, found.free_improvement.setting, found.costlier_improvement) == ("pays", "5", None)
    assert found.safe_saving.setting == "2"


def test_a_cheaper_setting_that_is_as_good_makes_the_axis_wasted(tmp_path):
    almost = [2, 2, 3, 1, 2] * 7 + [2, 2, 3, 1, 3]  # one word of 400 more
    found = judge(tmp_path / "r", {ONE: (almost, 10.0), FIVE: (MIXED, 20.0)}, base=1, margin=0.03)
    assert (found.status, found.safe_saving.setting, found.exhausted) == ("wasted", "1", True)
    assert found.still_improving is None


def test_dearer_settings_that_gain_less_than_the_margin_are_wasted(tmp_path):
    found = judge(tmp_path / "r", {ONE: (2, 10.0), FIVE: (3, 20.0)})
    assert (found.status, found.buys_nothing, found.safe_saving) == ("wasted", True, None)
    assert found.unproven_improvement is None


def test_the_dearest_setting_is_needed_where_every_cheaper_one_is_worse(tmp_path):
    found = judge(tmp_path / "r", {ONE: (3, 10.0), TWO: (2, 20.0), FIVE: (1, 40.0)}, base=2)
    assert (found.status, found.exhausted, found.cheaper_hurts) == ("needed", True, True)
    assert found.still_improving.setting == "2"  # the nearest, not the worst
    assert found.settings == ("1", "2", "5")


def test_one_open_neighbour_leaves_an_axis_undecided(tmp_path):
    found = judge(tmp_path / "r", {ONE: (4, 10.0), TWO: (OPEN, 20.0), FIVE: (MIXED, 40.0)}, base=2)
    assert (found.status, found.exhausted, found.cheaper_hurts) == ("undecided", True, False)
    assert found.unproven_saving.setting == "2"
    found = judge(tmp_path / "s", {ONE: (MIXED, 10.0), TWO: (OPEN, 20.0), FIVE: (4, 40.0)})
    assert (found.status, found.buys_nothing) == ("undecided", False)


def test_what_the_speakers_disagree_on_is_undecided(tmp_path):
    found = judge(tmp_path / "r", {ONE: (MIXED, 10.0), FIVE: (OPEN, 20.0)})
    assert (found.status, found.costlier_improvement, found.buys_nothing) == ("undecided", None, False)
    assert 0.05 < found.moves[0].p_better < 0.95


def test_too_few_utterances_leave_everything_undecided(tmp_path):
    found = judge(tmp_path / "r", {ONE: (3, 10.0), FIVE: (1, 20.0)}, enough=False)
    assert (found.status, found.costlier_improvement) == ("undecided", None)
    assert found.unproven_improvement.setting == "5"


def test_one_value_is_not_measured(tmp_path):
    stride = BASE.model_copy(update={"token_stride": 2})
    found = judge(tmp_path / "r", {ONE: (3, 10.0), stride: (1, 20.0)})
    assert (found.status, found.moves, found.here, found.settings) == ("not measured", (), None, ("1",))
    assert not found.exhausted


@pytest.mark.parametrize(
    ("changed", "limited"),
    [
        ({}, {"context", "window_s", "token_stride", "speed"}),
        (
            {"context": "fit", "window_s": 10.0, "token_stride": 2, "speed": 1.2, "compute_type": "float32"},
            {"compute_type"},
        ),
    ],
)
def test_an_axis_knows_where_it_ends(changed, limited):
    point = BASE.model_copy(update=changed)
    assert {axis.name for axis in AXES if axis.at_limit(point)} == limited
