import pytest

pytest.importorskip("torch")

from allophone.errors import SpaceError, UsageError
from allophone.sweeps.emotion.plan import plan_emotion
from allophone.sweeps.emotion.space import EmotionSpace
from emotion_builders import emotion_place, write_emotions


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with emotion_place(tmp_path_factory.mktemp("plan"), "whisper", n_speakers=6) as folder:
        yield folder


def planned(place, tmp_path, **options):
    space = EmotionSpace(model=(str(place / "base"),), duration_s=(0.2, 0.1), lora_rank=(0, 2), unfrozen_layers=(0,))
    return plan_emotion(place / "c/manifest.jsonl", out=tmp_path / "r", space=space, **options)


def test_three_of_five_folds_are_measured_unless_more_are_asked_for(place, tmp_path):
    found = planned(place, tmp_path)
    assert (found.folds, len(found.splits.splits)) == (("fold-0", "fold-1", "fold-2"), 5)
    assert found.n_tested == sum(len(found.splits.split(fold).test) * 4 for fold in found.folds)
    every = planned(place, tmp_path, folds=6)
    assert (len(every.folds), every.n_tested) == (6, 24)
    with pytest.raises(UsageError, match="7 folds of 6 speakers"):
        planned(place, tmp_path, folds=7)
    assert not (tmp_path / "r").exists()


def test_fewer_speakers_make_fewer_folds(place, tmp_path):
    manifest = write_emotions(tmp_path / "few", n_speakers=3)
    space = EmotionSpace(model=(str(place / "base"),), duration_s=(0.2,), lora_rank=(0,), unfrozen_layers=(0,))
    found = plan_emotion(manifest, out=tmp_path / "r", space=space)
    assert found.folds == ("fold-0", "fold-1", "fold-2")
    assert found.n_tested == 12


def test_seeds_epochs_and_recipes(place, tmp_path):
    found = planned(place, tmp_path, seeds=2, seed=5, epochs=7)
    assert found.seeds == (5, 6)
    assert {recipe.epochs for recipe in found.recipes.values()} == {7}
    assert planned(place, tmp_path).recipes[found.points[0].name].epochs > 7  # a probe's own


def test_quick_points_come_first_and_the_forecast_adds_up(place, tmp_path):
    found = planned(place, tmp_path, folds=2, seeds=2)
    assert [point.duration_s for point in found.points] == [0.2, 0.1, 0.2]  # the plan's own order
    alone = [found.forecasts[setting.name].seconds for setting, _ in found.settings]
    assert alone == sorted(alone)
    first = sum(seconds for _, seconds in found.settings)
    assert sum(found.unit_seconds(unit) for unit in found.units()) == pytest.approx(first + 3 * sum(alone))
    assert first > sum(alone)  # the frozen layers' pass


def test_plans(place, tmp_path):
    assert len(planned(place, tmp_path, plan="race").points) == 4
    with pytest.raises(SpaceError, match="'joint' is not for emotion recognition"):
        planned(place, tmp_path, plan="joint")


def test_isoflop_takes_what_meets_a_budget_of_inference_or_of_training(place, tmp_path):
    grid = planned(place, tmp_path, plan="grid")
    costs = {setting: grid.forecasts[setting.name] for setting in grid.points}
    heard = costs[grid.points[0]].inference_gflops
    found = planned(place, tmp_path, plan="isoflop", budgets_gflops=[heard])
    assert {point.duration_s for point in found.points} == {0.2}  # rank costs nothing at inference
    assert {point.lora_rank for point in found.points} == {0, 2}
    assert set(found.forecasts) == set(found.recipes) == {point.name for point in found.points}
    dearest = max(grid.points, key=lambda setting: costs[setting].training_flops)
    budget = costs[dearest].training_flops / 1e9
    found = planned(place, tmp_path, plan="isoflop", budgets_gflops=[budget], cost="training_gflops")
    assert found.points == (dearest,)
    with pytest.raises(SpaceError, match=r"needs budgets: .* an inference"):
        planned(place, tmp_path, plan="isoflop")
    with pytest.raises(SpaceError, match=r"GFLOPs a training, above 0"):
        planned(place, tmp_path, plan="isoflop", budgets_gflops=[-1], cost="training_gflops")
    with pytest.raises(SpaceError, match="not to grid"):
        planned(place, tmp_path, plan="grid", budgets_gflops=[1])
