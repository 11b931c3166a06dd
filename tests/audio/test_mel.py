import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from allophone.audio.mel import context_frames, log_mel
from allophone.records.point import OperatingPoint

RNG = np.random.default_rng(0)


def padded_by_whisper(samples, n_frames, n_mels):
    """The log-mel of the audio and 30 s of zeros after it, cut: what openai/whisper computes."""
    audio = samples[: n_frames * 160]
    whole = np.concatenate([audio, np.zeros(480_000, np.float32)])
    return FeatureExtractor(feature_size=n_mels)(whole, padding=0)[:, :n_frames]


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize(
    "n_samples", [0, 1, 159, 160, 161, 199, 200, 201, 320, 16_000, 16_001, 479_800, 479_999, 480_000]
)
def test_equals_the_transform_of_the_padded_audio(n_samples, n_mels):
    samples = RNG.normal(0, 0.1, n_samples).astype(np.float32)
    mel = log_mel(samples, 3000, n_mels)
    assert mel.shape == (n_mels, 3000)
    assert mel.dtype == np.float32
    assert mel.flags.c_contiguous
    np.testing.assert_allclose(mel, padded_by_whisper(samples, 3000, n_mels), atol=1e-6)


@pytest.mark.parametrize("n_frames", [2, 4, 100, 102])
def test_a_short_context_is_the_beginning_of_the_padded_transform(n_frames):
    samples = RNG.normal(0, 0.1, 16_000).astype(np.float32)  # 1 s: 100 frames
    np.testing.assert_allclose(log_mel(samples, n_frames, 80), padded_by_whisper(samples, n_frames, 80), atol=1e-6)


def test_the_level_of_silence_follows_the_loudest_frame():
    mel = log_mel(RNG.normal(0, 0.1, 16_000).astype(np.float32), 3000, 80)
    # log10 power is clipped 8 below its maximum, then (x + 4) / 4: silence lies 8 / 4 = 2 under the maximum.
    assert mel[:, -1] == pytest.approx(mel.max() - 2.0)


@pytest.mark.parametrize(
    ("duration_s", "margin_s", "floor_s", "frames"),
    [
        (1.0, 0.0, 0.0, 100),
        (1.0, 2.0, 0.0, 300),
        (1.0, 2.0, 10.0, 1000),
        (9.0, 2.0, 10.0, 1100),
        (0.02, 0.0, 0.0, 2),  # one audio token
        (0.021, 0.0, 0.0, 4),  # rounded up to whole audio tokens
        (0.0, 0.0, 0.0, 2),  # never nothing
        (29.99, 0.0, 0.0, 3000),  # 1499.5 tokens
        (29.97, 0.0, 0.0, 2998),  # 1498.5 tokens
        (29.0, 2.0, 0.0, 3000),  # at most the trained context
        (30.0, 0.0, 0.0, 3000),
        (31.0, 0.0, 0.0, 3000),
        (1.0, 0.0, 30.0, 3000),
    ],
)
def test_frames_of_a_fitted_context(duration_s, margin_s, floor_s, frames):
    point = OperatingPoint(model="tiny", context="fit", margin_s=margin_s, floor_s=floor_s)
    assert context_frames(round(duration_s * 16_000), point) == frames


@pytest.mark.parametrize("n_samples", [0, 320, 480_000, 500_000])
def test_a_full_context_is_always_30_s(n_samples):
    assert context_frames(n_samples, OperatingPoint(model="tiny")) == 3000
