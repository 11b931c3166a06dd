import numpy as np
import pytest

from allophone.emotion.clips import check_audible, load_clip
from allophone.errors import AudioError
from allophone.records.utterance import Utterance
from builders import tone, write_wav


def clip(folder, samples, **part):
    return Utterance("a", write_wav(folder / "a.wav", samples), **part)


def test_a_part_of_a_recording(tmp_path):
    whole = clip(tmp_path, tone(2.0, 1))
    part = clip(tmp_path, tone(2.0, 1), offset_s=0.5, duration_s=1.0)
    np.testing.assert_array_equal(load_clip(part, 3.0), load_clip(whole, 3.0)[8_000:24_000])


def test_the_first_seconds_or_all_there_is(tmp_path):
    path = clip(tmp_path, tone(2.0, 1))
    assert load_clip(path, 1.5).shape == (24_000,)
    assert load_clip(path, 3.0).shape == (32_000,)
    np.testing.assert_array_equal(load_clip(path, 1.5), load_clip(path, 3.0)[:24_000])


@pytest.mark.parametrize(("level", "audible"), [(0.0, False), (2**-14, False), (2**-12, True)])
def test_silence_is_refused(tmp_path, level, audible):
    path = clip(tmp_path, np.full(1600, level))
    if audible:
        assert load_clip(path, 1.0).size == 1600
        return
    with pytest.raises(AudioError, match=r"a\.wav: silent throughout"):
        load_clip(path, 1.0)


def test_zero_length_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"no audio at all|truncated"):
        load_clip(clip(tmp_path, np.zeros(0)), 1.0)
    with pytest.raises(AudioError, match="silent"):
        check_audible(np.zeros(0, np.float32), "x")


@pytest.mark.parametrize(("n_samples", "audible"), [(10, False), (1599, False), (1600, True)])
def test_a_tenth_of_a_second_is_the_least(tmp_path, n_samples, audible):
    path = clip(tmp_path, np.full(n_samples, 0.5))
    if audible:
        assert load_clip(path, 0.05).size == 800  # of the recording, not of what is heard of it
        return
    duration = rf"{n_samples / 16:.1f} ms"
    with pytest.raises(AudioError, match=rf"a\.wav: too short \({duration}\): an emotion needs at least 0\.1 s"):
        load_clip(path, 1.0)


def test_a_quiet_beginning_is_no_silence(tmp_path):
    samples = np.concatenate([np.zeros(16_000), 0.5 * np.ones(1600)])
    assert abs(load_clip(clip(tmp_path, samples), 1.0)).max() == 0
