import pytest

from allophone.errors import SpaceError
from allophone.sweeps.recognition.plans import plan_points
from allophone.sweeps.space import SearchSpace

SPACE = SearchSpace(
    model=("tiny.en", "base"),
    context=("full", "fit"),
    margin_s=(1, 2, 4),
    floor_s=(0,),
    tail=("none",),
    guard=(False,),
    token_stride=(1, 2, 4),
    beam_size=(1, 5),
)


def test_a_star_varies_one_axis_at_a_time_for_every_model():
    names = [point.name for point in plan_points(SPACE, "star")]
    # centre + 3 fits + 2 strides + 1 beam = 7 a model
    assert names[:7] == [
        "tiny.en-full-s1-int8-b1",
        "tiny.en-fit+1-s1-int8-b1",
        "tiny.en-fit+2-s1-int8-b1",
        "tiny.en-fit+4-s1-int8-b1",
        "tiny.en-full-s2-int8-b1",
        "tiny.en-full-s4-int8-b1",
        "tiny.en-full-s1-int8-b5",
    ]
    assert len(names) == 14


def test_a_grid_is_every_combination_and_full_context_has_no_margin():
    points = plan_points(SPACE, "grid")
    # 2 models x (1 full + 3 fits) x 3 strides x 2 beams
    assert len(points) == 2 * 4 * 3 * 2
    assert len(set(points)) == len(points)
    assert {point.margin_s for point in points if point.context == "full"} == {0}


def test_every_name_is_unique_and_a_file_name():
    names = [point.name for point in plan_points(SPACE, "grid")]
    assert len(set(names)) == len(names)
    assert not any(character in name for name in names for character in '/\\:*?"<>| ')


def test_a_space_without_full_context_has_its_centre_at_the_first_margin():
    plain = {"tail": ("none",), "guard": (False,), "token_stride": (1,), "beam_size": (1, 5)}
    space = SearchSpace(model=("base",), context=("fit",), margin_s=(2, 4), floor_s=(0, 10), **plain)
    assert [point.name for point in plan_points(space, "star")] == [
        "base-fit+2-s1-int8-b1",
        "base-fit+2f10-s1-int8-b1",
        "base-fit+4-s1-int8-b1",
        "base-fit+4f10-s1-int8-b1",
        "base-fit+2-s1-int8-b5",
    ]


def test_tails_and_guards_are_combined_with_margins_in_a_fit_context_alone():
    space = SearchSpace(model=("base",), tail=("all", "none"), guard=(True, False), token_stride=(1,), beam_size=(1,))
    assert [point.name for point in plan_points(space, "star")] == [
        "base-fit+1tallg-s1-int8-b1",
        "base-fit+1tall-s1-int8-b1",
        "base-fit+1g-s1-int8-b1",
        "base-fit+1-s1-int8-b1",
        "base-full-s1-int8-b1",
    ]


def test_an_unknown_plan_names_the_known_ones():
    with pytest.raises(SpaceError, match="unknown plan 'random'; known plans: star, grid, isoflop, race, joint"):
        plan_points(SPACE, "random")
