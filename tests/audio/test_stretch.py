import numpy as np
import pytest

from allophone.audio.stretch import compress_time

SPEEDS = [0.5, 0.8, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0]


def sine(duration_s: float, hertz: float = 440.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(duration_s * 16_000)) / 16_000).astype(np.float32)


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_pitch_stays(speed):
    faster = compress_time(sine(4.0), speed)
    bin_hz = 16_000 / faster.size
    assert np.abs(np.fft.rfft(faster)).argmax() * bin_hz == pytest.approx(440, abs=max(2 * bin_hz, 0.5))
    assert np.sqrt(np.mean(faster**2)) == pytest.approx(0.707, rel=0.02)  # 1/sqrt(2): nothing fades


@pytest.mark.parametrize(("speed", "n_samples"), [(0.5, 96_000), (1.25, 38_400), (1.5, 32_000), (3.0, 16_000)])
def test_three_seconds_become_three_over_speed(speed, n_samples):
    faster = compress_time(sine(3.0), speed)  # 48,000 samples
    assert faster.shape == (n_samples,)
    assert faster.dtype == np.float32


def test_a_speed_of_one_changes_nothing():
    samples = sine(1.0)
    assert compress_time(samples, 1.0) is samples


@pytest.mark.parametrize("n_samples", [0, 1, 100, 16_000, 16_001])
@pytest.mark.parametrize("speed", SPEEDS)
def test_any_length_is_rounded(n_samples, speed):
    assert compress_time(np.ones(n_samples, np.float32), speed).size == round(n_samples / speed)


@pytest.mark.parametrize("duration_s", [0.06, 1.0, 2.5])
@pytest.mark.parametrize("speed", [1.25, 2.0])
def test_sound_lasts_to_the_end(duration_s, speed):
    faster = compress_time(sine(duration_s), speed)
    assert np.abs(faster[-faster.size // 4 :]).max() > 0.5


def test_order_is_kept():
    low_then_high = np.concatenate([sine(2.0, 300.0), sine(2.0, 1500.0)])
    faster = compress_time(low_then_high, 2.0)  # 32,000 samples, 1 s of each
    peaks = [np.abs(np.fft.rfft(half)).argmax() for half in (faster[1_000:15_000], faster[17_000:31_000])]
    # 14,000 samples: 8/7 Hz a bin, so 300 Hz is bin 262.5 and 1500 Hz is bin 1312.5
    assert peaks == pytest.approx([262.5, 1312.5], abs=3)


def test_samples_of_an_array_that_is_not_contiguous():
    samples = np.repeat(sine(1.0), 2)[::2]
    np.testing.assert_array_equal(compress_time(samples, 1.5), compress_time(sine(1.0), 1.5))
