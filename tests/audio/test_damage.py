"""Damage told and damage refused; whole files are in ``test_decode.py``."""

from types import SimpleNamespace

import pytest

from allophone.audio.damage import Damage, damage_notices
from allophone.errors import AudioError

SOURCE = SimpleNamespace(name="a.mp3", reopens=True, size=1000)


def timeline(end_s, gaps_s=()):
    return SimpleNamespace(clock_s=end_s, end_s=end_s, gaps_s=list(gaps_s))


def damaged(n_packets, failed_at, reason="invalid data"):
    damage = Damage(n_packets=n_packets)
    for at_s in failed_at:
        damage.add(ValueError(reason), 0.02, at_s)
    damage.n_trailing = 0
    return damage


def test_packets_lost_within_are_counted_with_the_first_place_and_reason():
    (notice,) = damage_notices(SOURCE, timeline(10.0), damaged(500, [3.0, 7.5]), 10.0, exact=False)
    assert notice == ("2 of 500 packets cannot be decoded and were skipped, the first at 3.0 s (invalid data)")


def test_more_than_a_tenth_lost_is_refused():
    assert damage_notices(SOURCE, timeline(10.0), damaged(100, range(10)), 10.0, exact=False)
    with pytest.raises(AudioError, match=r"a\.mp3: damaged: 11 of 100 packets"):
        damage_notices(SOURCE, timeline(10.0), damaged(100, range(11)), 10.0, exact=False)


def test_a_length_that_is_not_kept_is_refused_beyond_the_slack():
    assert damage_notices(SOURCE, timeline(9.6), Damage(n_packets=500), 10.0, exact=False) == []
    with pytest.raises(AudioError, match=r"9\.4 s could be decoded of the 10\.0 s"):
        damage_notices(SOURCE, timeline(9.4), Damage(n_packets=500), 10.0, exact=False)
    with pytest.raises(AudioError, match="truncated or damaged"):
        damage_notices(SOURCE, timeline(9.6), Damage(n_packets=500), 10.0, exact=True)


def test_gaps_are_told_and_in_exact_formats_bounded():
    assert damage_notices(SOURCE, timeline(10.0, [2.0]), Damage(), 10.0, exact=False) == [
        "a gap in its time stamps, 2.0 s in all, filled with silence"
    ]
    with pytest.raises(AudioError, match=r"2\.0 of 10\.0 s cannot be decoded"):
        damage_notices(SOURCE, timeline(10.0, [2.0]), Damage(), 10.0, exact=True)
