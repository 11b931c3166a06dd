import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.audio.utterance_audio import decode_utterance, load_utterance
from allophone.errors import AudioError
from allophone.records.utterance import Utterance
from builders import tone, write_wav


@pytest.fixture
def recording(tmp_path):
    return write_wav(tmp_path / "a.wav", tone(20.0, 1))


@pytest.mark.parametrize(("offset_s", "duration_s"), [(0.0, 2.0), (3.25, 1.5), (18.0, None), (19.5, 0.5)])
def test_a_part_is_cut_out(recording, offset_s, duration_s):
    found = decode_utterance(Utterance("u", recording, duration_s, offset_s=offset_s))
    end_s = 20.0 if duration_s is None else offset_s + duration_s
    np.testing.assert_array_equal(found.samples, load_audio(recording)[round(16e3 * offset_s) : round(16e3 * end_s)])
    assert found.notices == ()


@pytest.mark.parametrize(
    ("stated_s", "told"), [(None, 0), (0.0, 0), (20.0, 0), (19.2, 0), (18.0, 1), (60.0, 1), (2, 1)]
)
def test_a_stated_length_is_compared(recording, stated_s, told):
    found = decode_utterance(Utterance("u", recording, stated_s))
    assert found.samples.size == 320_000
    assert len(found.notices) == told
    if told:
        assert f"states {stated_s:.1f} s and the recording has 20.0 s" in found.notices[0]


def test_a_part_behind_the_end(recording):
    with pytest.raises(AudioError, match=r"a\.wav: ends before the offset 30 s|a\.wav: ends at"):
        load_utterance(Utterance("u", recording, 1.0, offset_s=30.0))


def test_the_length_is_capped(recording):
    assert load_utterance(Utterance("u", recording, 2.0, offset_s=5.0), longest_s=3.0).size == 32_000
    for part in ({}, {"offset_s": 5.0}, {"offset_s": 5.0, "duration_s": 4.0}):
        with pytest.raises(AudioError, match=r"lasts over 3 s"):
            load_utterance(Utterance("u", recording, **part), longest_s=3.0)
