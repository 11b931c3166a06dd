from fractions import Fraction

import av
import numpy as np
import pytest

from allophone.audio.timeline import Timeline, refuse_implausible
from allophone.errors import AudioError

RATE = 16_000


def frame(time_s: float | None, seconds: float = 0.1, value: float = 0.5, rate: int = RATE, channels: int = 1):
    values = np.full((channels, round(seconds * rate)), value, np.float32)
    made = av.AudioFrame.from_ndarray(values, format="fltp", layout={1: "mono", 2: "stereo"}[channels])
    made.sample_rate, made.time_base = rate, Fraction(1, rate)
    made.pts = None if time_s is None else round(time_s * rate)
    return made


def placed(times, *, origin_s=0.0, tolerance_s=0.05, sought=False, check=lambda position, silent: None):
    timeline = Timeline("a.mka", origin_s=origin_s, tolerance_s=tolerance_s, sought=sought, channel=None, check=check)
    for time_s in times:
        timeline.put(frame(time_s))
    timeline.finish()
    return timeline


def spoken(timeline) -> list[tuple[float, float]]:
    """Where there is sound, in tenths of seconds, as (begin, end)."""
    samples = np.frombuffer(timeline.samples, np.float32)
    loud = np.abs(samples.reshape(-1, 1600)).mean(1) > 0.25
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    return [(begin / 10, end / 10) for begin, end in edges.reshape(-1, 2).tolist()]


@pytest.mark.parametrize(
    ("times", "sound", "end_s"),
    [
        ([0.0, 0.1, 0.2], [(0.0, 0.3)], 0.3),
        ([None, None, None], [(0.0, 0.3)], 0.3),
        ([0.0, 0.11, 0.19], [(0.0, 0.3)], 0.3),  # rounded time stamps
        ([0.0, 0.5, 0.6], [(0.0, 0.1), (0.5, 0.7)], 0.7),  # a gap
        ([0.0, 0.5, 0.6, 1.0, 1.1], [(0.0, 0.1), (0.5, 0.7), (1.0, 1.2)], 1.2),  # two
        ([0.0, 0.5, 1.0, 1.5, 1.6], [(0.0, 0.1), (0.5, 0.6), (1.0, 1.1), (1.5, 1.7)], 1.7),  # a codec sends no silence
        ([0.3, 0.4, 0.5], [(0.3, 0.6)], 0.6),  # sound begins after the picture
        ([0.0, 90.0, 0.2, 0.3], [(0.0, 0.4)], 0.4),  # one damaged time stamp
        ([0.0, 0.1, 90.0], [(0.0, 0.3)], 0.3),  # the last one damaged
        ([0.0, 0.1, 0.0, 0.1, 0.2], [(0.0, 0.5)], 0.5),  # joined recordings: time begins anew
        ([0.0, 0.1, 0.0, 0.1, 0.5, 0.6], [(0.0, 0.4), (0.7, 0.9)], 0.9),  # with a gap in the second
        ([5.0, 0.1, 0.2], [(0.0, 0.3)], 0.3),  # the first time stamp damaged
        ([], [], 0.0),
    ],
)
def test_frames_lie_where_their_time_stamps_say(times, sound, end_s):
    timeline = placed(times)
    assert spoken(timeline) == sound
    assert timeline.clock_s == pytest.approx(end_s)
    assert len(timeline.samples) == 4 * round(end_s * RATE)


@pytest.mark.parametrize("times", [[0.0, 0.5, 0.6], [7.0, 0.0], [3.0, 3.1]])
def test_time_stamps_that_are_no_ones_are_not_believed(times):
    assert placed(times, tolerance_s=None).clock_s == pytest.approx(0.1 * len(times))


def test_times_count_from_the_begin_of_the_container():
    timeline = placed([3600.2, 3600.3], origin_s=3600.0)
    assert spoken(timeline) == [(0.2, 0.4)]
    assert timeline.end_s == pytest.approx(3600.4)


def test_a_sought_frame_states_where_the_samples_begin():
    timeline = placed([12.0, 12.1, 13.0, 13.1], sought=True)
    assert timeline.begin_s == 12.0
    assert spoken(timeline) == [(0.0, 0.2), (1.0, 1.2)]


def test_long_gaps_are_told_of_and_a_late_begin_is_not():
    assert placed([4.0, 4.1, 5.0, 5.1, 5.4, 5.5]).gaps_s == [pytest.approx(0.8)]


def test_silence_takes_the_place_of_packets_that_failed():
    timeline = Timeline(
        "a.mp3", origin_s=0, tolerance_s=None, sought=False, channel=None, check=lambda position, silent: None
    )
    timeline.put(frame(None))
    timeline.miss(0.2)
    timeline.put(frame(None))
    timeline.miss(0.5)  # nothing comes behind it: junk, or the end is lost
    timeline.finish()
    assert spoken(timeline) == [(0.0, 0.1), (0.3, 0.4)]


def test_gaps_of_hours_are_refused():
    with pytest.raises(AudioError, match=r"a\.mka: its time stamps leave gaps of 2\.0 h"):
        placed([0.0, 7200.0, 7200.1])


def test_every_length_is_asked_about():
    asked = []
    placed([0.0, 0.5, 0.6], check=lambda position, silent: asked.append((round(position, 3), round(silent, 3))))
    assert asked == [(0.1, 0.0), (0.5, 0.4), (0.6, 0.4), (0.7, 0.4)]


@pytest.mark.parametrize(("channel", "value"), [(None, 0.25), (0, 0.5), (1, 0.0)])
def test_one_channel_or_all(channel, value):
    timeline = Timeline(
        "a.wav", origin_s=0, tolerance_s=None, sought=False, channel=channel, check=lambda position, silent: None
    )
    for kind in ("fltp", "s16"):
        values = np.array([[0.5] * 1600, [0.0] * 1600], np.float32)
        if kind == "s16":
            values = (values * 32768).astype(np.int16).T.reshape(1, -1).copy()
        made = av.AudioFrame.from_ndarray(values, format=kind, layout="stereo")
        made.sample_rate = RATE
        timeline.put(made)
    timeline.finish()
    samples = np.frombuffer(timeline.samples, np.float32)
    assert samples.size == 3200
    np.testing.assert_allclose(samples, value, atol=2 / 32768)
    assert timeline.channels == 2


@pytest.mark.parametrize("rate", [1, 8, 100, 999, 768_001, 2_113_152, 2_000_000_011])
def test_rates_of_no_recorder(rate):
    with pytest.raises(AudioError, match=rf"a\.wav: states a rate of {rate} Hz"):
        refuse_implausible("a.wav", rate, 1)


def test_channels_of_no_recorder():
    refuse_implausible("a.wav", 8000, 64)
    with pytest.raises(AudioError, match=r"a\.wav: states 65 channels"):
        refuse_implausible("a.wav", 8000, 65)


def test_numbers_that_are_none_are_damage():
    bad = av.AudioFrame.from_ndarray(np.full((1, 1600), np.inf, np.float32), format="flt", layout="mono")
    bad.sample_rate = RATE
    timeline = Timeline(
        "a.wav", origin_s=0, tolerance_s=None, sought=False, channel=None, check=lambda position, silent: None
    )
    with pytest.raises(AudioError, match="not finite"):
        timeline.put(bad)
