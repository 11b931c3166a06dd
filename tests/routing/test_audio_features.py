import numpy as np
import pytest

from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.routing.audio_features import (
    audio_features,
    encode_audio,
    encoder_statistics,
    level_range_db,
    measure_overhead,
    mel_statistics,
)
from builders import tone

FIT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1)


def test_statistics_are_mean_and_deviation():
    states = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
    assert encoder_statistics(states).tolist() == [2, 5, 1, 0]


def test_the_margin_of_silence_does_not_count():
    engine = FakeEngine("tiny")
    samples = tone(2.0, 1)
    short, long = (encode_audio(samples, FIT.model_copy(update={"margin_s": m}), engine).view for m in (1.0, 5.0))
    # The loudest frame sets Whisper's floor in both, so the frames that hold sound are the same.
    assert short.mel == pytest.approx(long.mel, abs=1e-4)
    assert short.encoder == pytest.approx(long.encoder, abs=1e-4)


def test_noise_lowers_the_ratio_of_loud_to_quiet():
    rng = np.random.default_rng(0)
    sound = rng.normal(size=16_000).astype(np.float32)
    quiet = np.concatenate([0.3 * sound, np.zeros(16_000, np.float32)])
    noisy = quiet + 0.1 * rng.normal(size=quiet.size).astype(np.float32)
    first, second = (encode_audio(samples, FIT, None).view.level_range_db for samples in (quiet, noisy))
    assert second < first - 10


def test_decibels_of_a_known_log_mel():
    # Whisper's unit is four decades of power: 0.5 units are 2 decades, 20 dB
    mel = np.zeros((80, 100), np.float32)
    mel[:, 50:] = 0.5
    assert level_range_db(mel) == pytest.approx(20)


def test_without_an_engine_there_is_the_log_mel_alone():
    looked = encode_audio(tone(1.0, 0), FIT, None)
    assert looked.recording is None
    assert looked.view.encoder is None
    assert audio_features(looked.view).shape == looked.view.mel.shape
    with_engine = encode_audio(tone(1.0, 0), FIT, FakeEngine("tiny")).view
    assert audio_features(with_engine).shape == (looked.view.mel.size + 2,)


@pytest.mark.parametrize("seconds", [0.0, 0.005, 65.0])
def test_nothing_a_sample_and_several_windows_have_finite_statistics(seconds):
    looked = encode_audio(tone(seconds, 3) if seconds else np.zeros(0, np.float32), FIT, FakeEngine("tiny"))
    assert np.isfinite(audio_features(looked.view)).all()
    assert looked.view.mel[0] == pytest.approx(seconds)
    assert looked.look_s >= 0


def test_silence_has_finite_statistics():
    assert np.isfinite(mel_statistics(np.zeros((80, 1), np.float32), 0.0)).all()


def test_overhead_is_the_median_call():
    calls = []
    assert measure_overhead(lambda: calls.append(0), 5) >= 0
    assert len(calls) == 6
