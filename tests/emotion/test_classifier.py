import numpy as np
import pytest

from allophone.errors import AudioError, UsageError
from builders import write_wav
from emotion_builders import save_encoder, save_recogniser

pytest.importorskip("torch")

import torch

from allophone.emotion.classifier import EmotionClassifier
from allophone.emotion.model import EmotionModel
from allophone.emotion.recipe import EmotionSetting
from allophone.emotion.store import save_emotion_model
from allophone.encoders.loading import load_speech_encoder
from allophone.measure.temperature import softmax

LABELS = ("a", "b", "c")


def noise(seconds, seed):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))).astype(np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("m")
    base = save_encoder(folder / "base", "wav2vec2")
    setting = EmotionSetting(model=base, duration_s=0.5, lora_rank=2)
    model = EmotionModel(load_speech_encoder(base), setting, 3, precision="float32")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.trained().values():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    save_emotion_model(folder / "model", model, LABELS, 2.0)
    return folder / "model", model


def test_a_short_recording_is_one_window(saved):
    folder, model = saved
    samples = noise(0.4, 1)
    found = EmotionClassifier(folder).classify_samples(samples)
    expected = softmax(model.clip_logits(samples).numpy(), 2.0)
    np.testing.assert_allclose(list(found.posterior.values()), expected, atol=1e-5)
    assert found.label == LABELS[expected.argmax()]
    assert found.confidence == max(found.posterior.values())
    assert len(found.windows) == 1
    assert found.duration_s == 0.4
    assert found.latency_s > 0


def test_long_audio_is_cut_into_equal_windows(saved):
    folder, model = saved
    samples = noise(1.2, 2)
    found = EmotionClassifier(folder).classify_samples(samples)
    assert [(w.start_s, w.end_s) for w in found.windows] == [(0.0, 0.4), (0.4, 0.8), (0.8, 1.2)]
    each = [softmax(model.clip_logits(samples[start : start + 6400]).numpy(), 2.0) for start in (0, 6400, 12800)]
    np.testing.assert_allclose(list(found.posterior.values()), np.mean(each, axis=0), atol=1e-5)


def test_silent_windows_are_left_out_and_silence_is_refused(saved, tmp_path):
    classifier = EmotionClassifier(saved[0])
    samples = np.concatenate([noise(0.5, 3), np.zeros(8000, np.float32)])
    assert [window.start_s for window in classifier.classify_samples(samples).windows] == [0]
    with pytest.raises(AudioError, match=r"s\.wav: silent throughout"):
        classifier.classify(write_wav(tmp_path / "s.wav", np.zeros(8000)))
    with pytest.raises(AudioError, match="too short"):
        classifier.classify_samples(noise(0.003, 1))


@pytest.mark.parametrize("family", ["whisper", "wav2vec2"])
def test_a_few_samples_are_refused_and_short_windows_heard(family, tmp_path):
    base = save_encoder(tmp_path / "base", family)
    folder = save_recogniser(tmp_path / "m", EmotionSetting(model=base, duration_s=0.08))
    classifier = EmotionClassifier(folder)
    with pytest.raises(AudioError, match=r"audio: too short \(0\.6 ms\)"):
        classifier.classify_samples(noise(10 / 16_000, 1))
    found = classifier.classify_samples(noise(0.1, 1))
    assert [(window.start_s, window.end_s) for window in found.windows] == [(0.0, 0.05), (0.05, 0.1)]


def test_a_device_that_is_not_there(saved):
    for device in ("tpu", "cuda:99"):
        with pytest.raises(UsageError, match=f"--device '{device}'"):
            EmotionClassifier(saved[0], device=device)
