import pytest

from allophone.errors import SpaceError
from allophone.look_up import look_up


def test_an_unknown_name_is_answered_with_those_there_are():
    table = {"a": 1, "b": 2}
    assert look_up(table, "b", "knob", "knobs", SpaceError) == 2
    with pytest.raises(SpaceError, match=r"^unknown knob 'c'; known knobs: a, b; or turn none$"):
        look_up(table, "c", "knob", "knobs", SpaceError, "; or turn none")
