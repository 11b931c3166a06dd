import importlib.util

import numpy as np
import pytest

from allophone.audio import voice
from allophone.audio.voice import VoiceEncoder, mel_power, require_voice_encoder
from allophone.errors import MissingExtraError


@pytest.fixture(scope="module")
def encoder():
    pytest.importorskip("torch")
    if importlib.util.find_spec("resemblyzer") is None:
        pytest.skip("Resemblyzer is not installed")
    return VoiceEncoder()


def test_frames_are_librosa_s_mel_power():
    # librosa 0.11: feature.melspectrogram(y=y, sr=16000, n_fft=400, hop_length=160, n_mels=40)
    samples = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * 0.1
    mel = mel_power(samples)
    assert mel.shape == (101, 40)
    assert (
        pytest.approx(
            np.array(
                [
                    [0.01854457, 0.01600463, 0.02950585],
                    [0.02644822, 0.00573131, 0.0279108],
                    [0.02514751, 0.00819014, 0.01557782],
                ]
            ),
            rel=1e-4,
        )
        == mel[:3, :3].T
    )
    assert mel[-2:, 39] == pytest.approx([0.03761669, 0.01311653], rel=1e-4)
    assert mel[50, 20] == pytest.approx(0.015780402, rel=1e-4)


def test_embeddings_have_length_one_and_forget_loudness_and_pauses(encoder, speech):
    samples = 0.1 * np.concatenate([speech[0].samples, speech[1].samples])  # below the loudness of training
    found = encoder.embed(samples)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    quieter = np.concatenate([np.zeros(16_000, np.float32), 0.3 * samples, np.zeros(16_000, np.float32)])
    assert found @ encoder.embed(quieter) > 0.95


def test_too_little_speech_has_no_embedding(encoder, speech):
    assert encoder.embed(np.zeros(48_000, np.float32)) is None
    assert encoder.embed(speech[0].samples[:8000]) is None


@pytest.mark.real_data
def test_recordings_of_one_speaker_are_nearer_than_those_of_two(encoder, real_speech):
    from allophone.audio.decode import load_audio
    from allophone.corpora.manifest import read_manifest

    by_speaker = {}
    for utterance in read_manifest(real_speech / "librispeech-test-other" / "manifest.jsonl"):
        by_speaker.setdefault(utterance.speaker, []).append(utterance.audio_filepath)
    voices = [[encoder.embed(load_audio(path)) for path in paths[:2]] for paths in by_speaker.values()]
    same = [one @ other for one, other in voices]
    different = [voices[i][0] @ voices[j][1] for i in range(len(voices)) for j in range(len(voices)) if i != j]
    assert np.mean(same) > np.mean(different) + 0.1


def test_what_is_missing_is_said_with_a_command_that_installs_it(monkeypatch):
    found = importlib.util.find_spec
    for package in ("torch", "scipy", "resemblyzer"):
        without = {name: found(name) for name in ("torch", "scipy", "resemblyzer") if name != package}
        monkeypatch.setattr(importlib.util, "find_spec", without.get)
        with pytest.raises(MissingExtraError, match=rf"{package} is not installed.*--no-deps Resemblyzer==0\.1\.4"):
            require_voice_encoder()
    assert voice.ENCODER.split()[1] in voice._WEIGHTS
