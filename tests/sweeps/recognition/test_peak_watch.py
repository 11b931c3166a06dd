import sys

import numpy as np
import pytest

from allophone.sweeps.recognition.peak_watch import PeakWatch

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MB = 1_000_000


def counted(calls, name):
    return lambda: calls.append(name)


def test_only_recordings_longer_than_all_before_are_watched():
    watch, watched = PeakWatch(), []
    for n_samples in (1000, 900, 1040, 1100, 1100, 5000):
        calls = []
        watch.peaks(n_samples, {"a": counted(calls, "a")})
        watched.append(bool(calls))
    assert watched == [True, False, False, True, False, True]  # 1040 is not 5 % more than 1000


def test_a_point_that_comes_later_is_watched_from_its_own_first_recording_on():
    watch, calls = PeakWatch(), []
    watch.peaks(1000, {"a": counted(calls, "a")})
    calls.clear()
    watch.peaks(900, {"a": counted(calls, "a"), "b": counted(calls, "b")})
    assert set(calls) == {"b"}


@linux
def test_each_peak_is_its_own_whatever_ran_before():
    small, large = (lambda size=size: np.ones(size // 8).sum() for size in (20 * MB, 200 * MB))
    for runs in ({"large": large, "small": small}, {"small": small, "large": large}):
        peaks = PeakWatch().peaks(1000, runs)
        assert peaks["large"] - peaks["small"] == pytest.approx(180 * MB, rel=0.1)
