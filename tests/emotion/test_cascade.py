"""A cascade, running: what climbs, what is charged."""

from shutil import copytree

import numpy as np
import pytest

from allophone.errors import AudioError, LedgerError, UsageError
from allophone.routing.emotion import uncertainty
from builders import write_wav
from emotion_builders import judged_cascade

pytest.importorskip("torch")

from allophone.emotion.cascade import load_emotion_policy
from allophone.emotion.classifier import EmotionClassifier
from allophone.emotion.policy import write_emotion_policy


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cascade")
    run, candidates, found, models = judged_cascade(folder)
    policy = write_emotion_policy(folder / "policy", run, candidates, found, models)
    return folder / "policy", models, policy


def noise(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))).astype(np.float32)


def test_what_is_sure_stays_at_the_first_point(place):
    folder, models, policy = place
    samples = noise(0.3)
    found = load_emotion_policy(folder, threshold=1.0).classify_samples(samples)
    alone = EmotionClassifier(models[0]).classify_samples(samples)
    assert found.ran == (policy.points[0].name,)
    assert found.classification.posterior == alone.posterior
    assert found.executed_flops == alone.executed_flops
    assert found.doubts == (float(uncertainty(np.array(list(alone.posterior.values())), policy.signal)),)


def test_what_is_in_doubt_climbs_and_is_charged_for_both(place):
    folder, models, policy = place
    samples = noise(0.3)
    found = load_emotion_policy(folder, threshold=0.0).classify_samples(samples)
    first, second = (EmotionClassifier(model).classify_samples(samples) for model in models)
    assert found.ran == tuple(point.name for point in policy.points)
    assert found.classification.posterior == second.posterior
    assert len(first.windows) == 2
    assert len(second.windows) == 1
    assert found.executed_flops == first.executed_flops + second.executed_flops
    assert found.latency_s > found.classification.latency_s


def test_the_cards_threshold_decides(place):
    folder, _, policy = place
    loaded = load_emotion_policy(folder)
    assert loaded.threshold == policy.threshold
    for seed in range(6):
        found = loaded.classify_samples(noise(0.3, seed))
        assert (len(found.ran) == 2) == (found.doubts[0] > policy.threshold)


def test_mistakes(place, tmp_path):
    folder = place[0]
    with pytest.raises(UsageError, match="threshold nan"):
        load_emotion_policy(folder, threshold=float("nan"))
    with pytest.raises(UsageError, match=r"emotion_policy\.json: cannot be read"):
        load_emotion_policy(tmp_path)
    with pytest.raises(AudioError, match=r"s\.wav: silent throughout"):
        load_emotion_policy(folder).classify(write_wav(tmp_path / "s.wav", np.zeros(8000)))
    for device in ("tpu", "cuda:99"):
        with pytest.raises(UsageError, match=f"--device '{device}'"):
            load_emotion_policy(folder, device=device)


def test_a_missing_file_of_the_last_point_is_found_before_the_first_recording(place, tmp_path):
    copytree(place[0], tmp_path / "p")
    (tmp_path / "p/1/head.safetensors").unlink()
    with pytest.raises(LedgerError, match=r"p/1/head\.safetensors: cannot be read"):
        load_emotion_policy(tmp_path / "p", threshold=1.0)
