import pytest

from allophone.errors import SpaceError
from allophone.frontier.objectives import COSTS, OBJECTIVES, QUALITY, find_cost, find_objective, objectives_of


def test_every_task_has_a_quality_that_is_no_cost():
    for task, quality in QUALITY.items():
        assert objectives_of(task)[0] == quality
        assert quality not in COSTS[task]
        assert set(objectives_of(task)) <= set(OBJECTIVES)


def test_the_uar_is_shown_as_people_read_it():
    uar = find_objective("uar", "emotion")
    assert uar.name == "uar_loss"
    assert uar.show(0.375) == "62.5 %"
    assert uar.show_apart(-0.02) == "2.0 %"
    assert uar.shown_ends(0.25, 0.5) == (50.0, 75.0)
    assert (uar.best, uar.limit) == ("highest", "at least")
    wer = find_objective("wer")
    assert (wer.show(0.375), wer.shown_ends(0.25, 0.5), wer.best, wer.limit) == (
        "37.50 %",
        (25.0, 50.0),
        "lowest",
        "at most",
    )


@pytest.mark.parametrize(("name", "task"), [("wer", "emotion"), ("uar_loss", "asr"), ("peak_memory_bytes", "emotion")])
def test_objectives_belong_to_a_task(name, task):
    with pytest.raises(SpaceError, match=f"unknown objective '{name}'; known: {QUALITY[task]}"):
        find_objective(name, task)
    with pytest.raises(SpaceError, match="unknown cost"):
        find_cost(name, task)


def test_what_is_not_zero_is_not_shown_as_zero():
    gflops = OBJECTIVES["training_gflops"]
    assert gflops.show(0.000139) == "0.00014 GFLOPs"
    assert gflops.show(0.0) == "0.00 GFLOPs"
    assert gflops.show(345.634) == "345.63 GFLOPs"
    assert OBJECTIVES["uar_loss"].show(1.0) == "0.0 %"
