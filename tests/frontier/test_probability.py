import pytest

from allophone.errors import SpaceError
from allophone.frontier.probability import check_confidence


@pytest.mark.parametrize("confidence", [None, 0.51, 0.9, 0.999])
def test_a_probability_passes(confidence):
    assert check_confidence(confidence) is None


@pytest.mark.parametrize("confidence", [0.5, 0.0, 1.0, -1.0, 100.0, float("nan")])
def test_what_is_none_is_refused(confidence):
    with pytest.raises(SpaceError, match=r"it must lie between 0\.5 and 1\.$"):
        check_confidence(confidence)


def test_percent_are_told_how_to_be_written():
    with pytest.raises(SpaceError, match=r"confidence is 95; .* between 0\.5 and 1; for 95 % write 0\.95\.$"):
        check_confidence(95.0)
