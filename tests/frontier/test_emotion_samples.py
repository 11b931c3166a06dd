import numpy as np
import pytest

from allophone.errors import SpaceError
from allophone.frontier.emotion_samples import resample_emotion
from allophone.frontier.emotion_summary import summarise_emotion
from allophone.frontier.objectives import objectives_of
from allophone.frontier.samples import resample_objective
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import intervals
from allophone.measure.classification import resample_uar
from allophone.records.point import EmotionSetting
from emotion_builders import write_emotion_run

A = EmotionSetting(model="tiny.en", duration_s=1.0)
B = EmotionSetting(model="tiny.en", duration_s=2.0)


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(0)
    rows = {
        point: [{"correct": bool(rng.random() < 0.7), "latency_s": float(rng.uniform(0.1, 0.4))} for _ in range(40)]
        for point in (A, B)
    }
    return summarise_emotion(write_emotion_run(tmp_path / "r", rows)).samples


def test_every_objective_is_resampled_and_its_estimate_is_the_summary_s(samples, tmp_path):
    resample = draw_blocks(samples.speakers, n_replicates=200)
    points = summarise_emotion(tmp_path / "r").points
    for name in objectives_of("emotion"):
        found = resample_objective(samples, name, resample)
        assert found.values.shape == (200, 2)
        np.testing.assert_allclose(found.estimates, [getattr(point, name) for point in points])


def test_quality_is_one_minus_the_uar_and_paired_by_speaker(samples):
    resample = draw_blocks(samples.speakers, n_replicates=200)
    assert resample.n_blocks == 10
    loss = resample_emotion(samples, "uar_loss", resample)
    uar = resample_uar(samples.hits, samples.classes, resample)
    np.testing.assert_allclose(loss.values, 1 - uar.values)
    assert loss.values.std() > 0


def test_what_a_training_costs_is_the_same_in_every_replicate(samples):
    found = resample_emotion(samples, "train_s", draw_blocks(samples.speakers, n_replicates=50))
    assert (found.values == 5.0).all()


def test_unknown_objective(samples):
    with pytest.raises(SpaceError, match="'wer' cannot be resampled"):
        resample_emotion(samples, "wer", draw_blocks(samples.speakers, n_replicates=50))


def test_equal_points_are_known_as_such(samples):
    assert samples.equal(0, 0)
    assert not samples.equal(0, 1)
    assert samples.weight == 40


def test_the_interval_of_a_uar_stays_between_nothing_and_all(tmp_path):
    right = [{"correct": bool(index % 4)} for index in range(40)]  # the speaker at every fourth place is always wrong
    rows = {A: [{**row, "speaker": f"s{index % 4}"} for index, row in enumerate(right)]}
    samples = summarise_emotion(write_emotion_run(tmp_path / "few", rows)).samples
    found = resample_emotion(samples, "uar_loss", draw_blocks(samples.speakers, n_replicates=200))
    assert found.inflated().min() < 0 or found.inflated().max() > 1
    assert all(0 <= end.low <= end.high <= 1 for end in intervals(found))
