import wave
from io import BytesIO

import numpy as np
import pytest

from allophone.demo.sound import Room, babble, mix, reverberate, shaped_noise, to_pcm, to_wav, waveform
from allophone.demo.voice import N_BINS, Spoken


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(3))


def _power_db(x: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(x * x)))


def _vowel(pitch_hz: float, n_frames: int = 80) -> Spoken:
    # A flat harmonic filter up to 4 kHz (bin 200), no noise, no free part.
    spectrum = np.full((n_frames, 5, N_BINS), -30, np.float32)
    spectrum[:, 0, :200] = 0
    spectrum[:, 1] = 0
    return Spoken(spectrum, np.full(n_frames, pitch_hz, np.float32))


@pytest.mark.parametrize("frame", [720, 800, 1000])
def test_longer_frames_are_deeper_and_longer(frame, rng):
    x = waveform(_vowel(200.0), frame, rng)
    assert len(x) == 80 * frame // 4
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    hz = np.fft.rfftfreq(len(x), 1 / 16_000)
    lowest = hz[np.argmax(spectrum * (hz < 1.5 * 200 * 800 / frame))]
    assert lowest == pytest.approx(200 * 800 / frame, abs=2)


def test_unvoiced_frames_have_no_pulses(rng):
    assert np.abs(waveform(_vowel(0.0), 800, rng)).max() < 1e-9


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 20.0])
def test_mix_has_the_snr_asked_for(snr_db, rng):
    signal, noise = rng.standard_normal(8000), shaped_noise(8000, "pink", rng)
    added = mix(signal, noise, snr_db) - signal
    assert _power_db(signal) - _power_db(added) == pytest.approx(snr_db)


@pytest.mark.parametrize(("kind", "octave_db"), [("pink", 3.01), ("brown", 6.02)])
def test_noise_falls_with_frequency(kind, octave_db, rng):
    power = np.abs(np.fft.rfft(shaped_noise(160_000, kind, rng))) ** 2  # bins of 0.1 Hz
    fall = 10 * np.log10(power[10_000:11_000].mean() / power[20_000:22_000].mean())
    assert fall == pytest.approx(octave_db, abs=0.5)


def test_room_decays_by_60_db_in_its_reverberation_time(rng):
    click = np.zeros(16_000)
    click[0] = 1.0
    y = reverberate(click, Room(t60_s=0.5, direct_db=3.0), rng)
    assert len(y) == len(click)
    assert y[0] == pytest.approx(1.0)
    assert np.abs(y[1:60]).max() < 1e-12  # 4 ms before the first reflection
    assert -_power_db(y[1:]) - 10 * np.log10(len(y) - 1) == pytest.approx(3.0)  # direct over reverberant energy
    early, late = _power_db(y[800:1600]), _power_db(y[4800:5600])  # 0.25 s apart: half of 60 dB
    assert early - late == pytest.approx(30.0, abs=1.5)


def test_babble_overlaps_other_voices_at_one_level(rng):
    voices = [np.sin(np.arange(3000) * f) * 10**f for f in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    x = babble(voices, 7000, rng)
    assert x.shape == (7000,)
    assert np.mean(x * x) == pytest.approx(5.0, rel=0.2)  # five voices of power 1


def test_pcm_has_the_level_and_never_clips(rng):
    x = rng.standard_normal(16_000)
    samples = np.frombuffer(to_pcm(x, 0.1), "<i2") / 32767
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=1e-3)
    x[5] = 1000.0
    assert np.abs(np.frombuffer(to_pcm(x, 0.1), "<i2")).max() == round(0.98 * 32767)


def test_wav_is_16_khz_mono_16_bit():
    with wave.open(BytesIO(to_wav(b"\x01\x00\x02\x00"))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(2) == b"\x01\x00\x02\x00"
