from pathlib import Path

import numpy as np
import pytest

from allophone.demo.voice import N_BINS, DemoVoice

hibari = pytest.importorskip("hibari")


@pytest.fixture(scope="module")
def voice() -> DemoVoice:
    return DemoVoice()


def test_network_agrees_with_onnxruntime(voice):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(Path(hibari.tts.ASSETS, "hibari.onnx")))
    (ids,) = voice.read("The quick grey fox jumps over a sleeping dog.")
    inputs = {"ids": ids[None], "speed": np.array([1.2], np.float32)}
    *parts, pitch_hz = session.run(None, inputs)
    spoken = voice.speak(ids, rate=1.2)
    assert spoken.spectrum.shape == (len(pitch_hz.ravel()), 5, N_BINS)
    # Both round activations to 8 bits a layer, so they differ by rounding noise: 0.4 Hz, 0.05 in log magnitude.
    assert np.abs(spoken.pitch_hz - pitch_hz.ravel()).mean() < 2.0
    for i, part in enumerate(parts):
        assert np.abs(spoken.spectrum[:, i].T - part[0]).mean() < 0.1


def test_rate_shortens_and_intonation_raises(voice):
    (ids,) = voice.read("Good morning.")
    plain, fast, high = voice.speak(ids), voice.speak(ids, rate=1.5), voice.speak(ids, intonation=1.2)
    assert len(fast.pitch_hz) < len(plain.pitch_hz) == len(high.pitch_hz)
    assert np.allclose(high.pitch_hz, plain.pitch_hz * 1.2)


def test_read_splits_sentences_and_puts_silence_round_them(voice):
    one, two = voice.read("Dr. Brown is here. Sit down!")
    assert one[0] == one[-1] == two[0] == two[-1] == 0
    assert len(one) > len(two) > 4
