import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.audio.snr import estimate_snr_db
from allophone.dimensions.whisper import SAMPLE_RATE

RNG = np.random.default_rng(0)


def bursts(duration_s=6.0):
    """Half a second of sound, half a second of nothing: like words and pauses."""
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return (np.sin(2 * np.pi * 300 * time) * (time % 1 < 0.5)).astype(np.float32)


def with_noise(sound, snr_db):
    noise = RNG.standard_normal(sound.size).astype(np.float32)
    return sound + noise * np.sqrt((sound**2).mean() / (noise**2).mean() / 10 ** (snr_db / 10))


@pytest.mark.parametrize("snr_db", [0, 5, 10, 20, 30])
def test_steady_noise_is_found_within_half_a_decibel(snr_db):
    assert estimate_snr_db(with_noise(bursts(), snr_db)) == pytest.approx(snr_db, abs=0.5)


def test_loudness_does_not_matter():
    noisy = with_noise(bursts(), 10)
    assert estimate_snr_db(noisy * np.float32(1e-3)) == pytest.approx(estimate_snr_db(noisy), abs=1e-3)


def test_the_ends_of_the_range():
    assert estimate_snr_db(bursts()) == 60.0  # pauses of digital silence
    assert -10.0 <= estimate_snr_db(RNG.standard_normal(SAMPLE_RATE * 4).astype(np.float32)) < -8


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), bursts(0.99), np.zeros(SAMPLE_RATE * 3, np.float32)])
def test_too_little_and_silence_have_no_ratio(samples):
    assert estimate_snr_db(samples) is None


def test_speech_is_as_noisy_as_the_noise_put_over_it(speech):
    pauses = np.zeros(SAMPLE_RATE // 2, np.float32)
    said = np.concatenate([part for one in speech for part in (one.samples, pauses)])
    for snr_db in (5, 15):
        assert estimate_snr_db(with_noise(said, snr_db)) == pytest.approx(snr_db, abs=1)


@pytest.mark.real_data
def test_real_speech_is_as_noisy_as_the_noise_put_over_it(real_speech):
    files = sorted((real_speech / "librispeech-train-clean-5").rglob("*.opus"))[:10]
    if not files:
        pytest.skip("no real speech here")
    for snr_db in (5, 15):
        found = [estimate_snr_db(with_noise(load_audio(path), snr_db)) for path in files]
        assert np.median(found) == pytest.approx(snr_db, abs=1)
