from math import inf, nan

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


def test_a_difference_has_the_sign_that_people_read():
    wer, uar = OBJECTIVES["wer"], OBJECTIVES["uar_loss"]
    assert (wer.show_change(-0.0123), wer.show_change(-0.0123, 1)) == ("-1.23", "-1.2")
    assert uar.show_change(-0.0123) == "+1.2"  # one percentage point of UAR more, one of its loss less
    assert wer.show_changes(-0.02, 0.01) == "[-2.00, +1.00]"
    assert uar.show_changes(-0.02, 0.01) == "[-1.0, +2.0]"
    assert (wer.show_change(nan), wer.show_change(inf), uar.show_change(inf)) == ("unknown", "+inf", "-inf")


def test_a_number_stands_without_its_unit():
    assert OBJECTIVES["uar_loss"].show_number(0.25) == "75.0"
    assert OBJECTIVES["rtf"].show_number(0.25) == "0.250"
    assert OBJECTIVES["peak_memory_bytes"].show_number(5e7) == "50"
