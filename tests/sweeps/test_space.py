import pytest

from allophone.errors import SpaceError, UsageError
from allophone.records.point import OperatingPoint
from allophone.sweeps.recognition.plans import plan_points
from allophone.sweeps.space import AXES, SearchSpace, parse_axes, read_space, space_of_point


def test_the_axes_are_those_of_the_vocabulary():
    assert (
        *("model", "window_s", "context", "margin_s", "floor_s", "tail", "guard"),
        *("token_stride", "speed", "compute_type", "beam_size"),
    ) == AXES


@pytest.mark.parametrize(
    "point",
    [
        OperatingPoint(model="base"),
        OperatingPoint(model="tiny.en", context="fit", margin_s=2.0, floor_s=5.0, tail="every-4", guard=True),
        OperatingPoint(model="base", token_stride=2, speed=1.25, compute_type="int16", beam_size=5),
        OperatingPoint(model="base", context="fit", margin_s=0.5, window_s=20.0),
    ],
)
@pytest.mark.parametrize("plan", ["star", "grid"])
def test_the_space_of_a_point_holds_it_alone(point, plan):
    assert plan_points(space_of_point(point), plan) == [point]


def test_flags_become_typed_values():
    flags = ["token_stride=1,2,4", "speed=1,1.25", "context=full", "tail=none,every-4,last-300", "guard=true,false"]
    space = read_space(None, ["tiny.en"], parse_axes(flags))
    assert (space.tail, space.guard) == (("none", "every-4", "last-300"), (True, False))
    assert space.token_stride == (1, 2, 4)
    assert space.speed == (1.0, 1.25)
    assert space.context == ("full",)
    assert space.model == ("tiny.en",)


def test_flags_win_over_the_file(tmp_path):
    file = tmp_path / "space.toml"
    file.write_text('model = ["base"]\ntoken_stride = [1, 4]\nbeam_size = 5\n')
    space = read_space(file, None, {"token_stride": ["2"]})
    assert (space.model, space.token_stride, space.beam_size) == (("base",), (2,), (5,))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("stride=1", "unknown axis 'stride'; known axes: model, window_s"),
        ("token_stride=0", "axis 'token_stride', value 0"),
        ("token_stride=1.5", "axis 'token_stride'"),
        ("token_stride=1,1", "a value occurs twice"),
        ("compute_type=int7", "axis 'compute_type', value 'int7'"),
        ("context=short", "axis 'context', value 'short'"),
        ("window_s=31", "axis 'window_s', value 31"),
        ("margin_s=-1", "axis 'margin_s', value -1"),
        ("beam_size=many", "axis 'beam_size', value 'many'"),
        ("speed=nan", "axis 'speed'"),
        ("tail=every-1", "axis 'tail', value 'every-1': write none, all, every-N with N from 2, last-N"),
        ("guard=maybe", "axis 'guard', value 'maybe'"),
    ],
)
def test_an_impossible_axis_is_named(flag, message):
    with pytest.raises(SpaceError, match=message) as caught:
        read_space(None, None, parse_axes([flag]))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("flag", ["token_stride", "token_stride=", "=1", ""])
def test_a_flag_of_another_form_shows_the_form(flag):
    with pytest.raises(SpaceError, match=r"NAME=VALUE|unknown axis"):
        read_space(None, None, parse_axes([flag]))


def test_an_axis_given_twice_is_refused():
    with pytest.raises(SpaceError, match="given twice"):
        parse_axes(["speed=1", "speed=2"])
    with pytest.raises(SpaceError, match="given twice"):
        read_space(None, ["base"], {"model": ["tiny.en"]})


def test_a_file_that_is_no_toml_is_named(tmp_path):
    file = tmp_path / "space.toml"
    with pytest.raises(UsageError, match=r"space\.toml"):
        read_space(file)
    file.write_text("token_stride = [")
    with pytest.raises(UsageError, match="not valid TOML"):
        read_space(file)


def test_the_default_space_compares_both_demo_models():
    assert SearchSpace().model == ("tiny.en", "base")
