import pytest

from allophone.corpora.corpus import open_corpus
from allophone.costs.recognition import point_flops
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError
from allophone.frontier.summarise import summarise_run
from allophone.records.point import OperatingPoint
from allophone.sweeps.isoflop import TOLERANCE, isoflop_points, predicted_flops
from allophone.sweeps.recognition.plans import plan_points
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from builders import write_tones

DIMENSIONS = {name: whisper_dimensions(name) for name in ("tiny.en", "base")}
SPACE = SearchSpace(
    model=("tiny.en", "base"), context=("full", "fit"), margin_s=(1, 2, 4), floor_s=(0, 10, 20), beam_size=(1, 5)
)


def mean_gflops(point, durations_s):
    return (
        sum(predicted_flops(DIMENSIONS[point.model], length, point) for length in durations_s) / len(durations_s) / 1e9
    )


def test_only_points_near_a_budget_are_chosen_and_all_of_them():
    grid = plan_points(SPACE, "grid")
    lengths = [4.0, 8.0, 12.0]
    chosen = isoflop_points(grid, [40.0], lengths, DIMENSIONS)
    assert {point.model for point in chosen} == {"tiny.en", "base"}  # a bigger model on less context costs the same
    near = [point for point in grid if abs(mean_gflops(point, lengths) / 40 - 1) <= TOLERANCE]
    assert chosen == near


def test_a_prediction_is_the_cost_model_s_count_of_the_point():
    # 12 s at 3.4 tokens a second: 41 and end-of-text; 70 s are 3 windows of 23.3 s: 80 and end-of-text each
    point = OperatingPoint(model="tiny.en", context="fit", margin_s=1, tail="all", beam_size=2)
    dims = DIMENSIONS["tiny.en"]
    assert predicted_flops(dims, 12.0, point) == point_flops(dims, point, audio_s=12.0, text_tokens=42)
    assert predicted_flops(dims, 70.0, point) == point_flops(dims, point, audio_s=70.0, text_tokens=81)


def test_a_budget_that_nothing_meets_names_the_nearest():
    with pytest.raises(
        SpaceError, match=r"budget 1: no point .* within 10%; the nearest is tiny\.en, short context.* GFLOPs"
    ):
        isoflop_points(plan_points(SPACE, "grid"), [1.0], [8.0], DIMENSIONS)


@pytest.mark.parametrize(
    ("budgets", "message"), [([], "needs budgets"), ([-3.0], "above 0"), ([float("nan")], "above 0")]
)
def test_impossible_budgets_are_refused(budgets, message):
    with pytest.raises(SpaceError, match=message):
        isoflop_points(plan_points(SPACE, "grid"), budgets, [8.0], DIMENSIONS)


def test_budgets_belong_to_isoflop_alone():
    with pytest.raises(SpaceError, match="not to star"):
        plan_points(SPACE, "star", budgets_gflops=[20.0])


def test_a_sweep_measures_compositions_of_equal_compute(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    space = SearchSpace(model=("fake:tiny", "fake:base"), context=("fit",), margin_s=(2, 4, 8, 10, 12), tail=("none",))
    budget = (
        predicted_flops(whisper_dimensions("base"), 1.5, OperatingPoint(model="base", context="fit", margin_s=2)) / 1e9
    )
    sweep(manifest, out=tmp_path / "r", space=space, plan="isoflop", budgets_gflops=[budget])
    points = summarise_run(tmp_path / "r").points
    assert {point.point.model for point in points} == {"fake:tiny", "fake:base"}
    assert all(abs(point.executed_gflops / budget - 1) < 0.2 for point in points)


def test_unstated_lengths_are_read_from_the_files(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2)
    manifest.write_text(manifest.read_text().replace('"duration"', '"unused"'))
    space = SearchSpace(model=("fake:tiny",), context=("full",))
    points = plan_points(space, "isoflop", corpus=open_corpus(manifest), budgets_gflops=[42.0])
    assert "fake.tiny-full-s1-int8-b1" in [point.name for point in points]
