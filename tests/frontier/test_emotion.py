import numpy as np
import pytest

from allophone.errors import InfeasibleError, LedgerError, SpaceError
from allophone.frontier.emotion import EmotionRunSummary
from allophone.frontier.objectives import objectives_of
from allophone.frontier.pareto import Frontier
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.frontier.recommend import recommend
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.measure.classification import resample_uar
from allophone.measure.intervals import intervals
from allophone.records.point import EmotionSetting, OperatingPoint
from builders import write_run
from emotion_builders import emotion_record, write_emotion_run

SHORT = EmotionSetting(model="tiny.en", duration_s=1.0)
LONG = EmotionSetting(model="tiny.en", duration_s=2.0, unfrozen_layers=2)
WRONG = {"correct": False}


def test_rates_follow_from_the_rows(tmp_path):
    # high: 0 2 4 6 right but 2; low: 1 3 5 7 right but 1 and 3.
    rows = [{}, WRONG, WRONG, WRONG, {}, {}, {}, {"latency_s": 0.5}]
    units = {SHORT: [{"training_flops": 1_000_000_000}, {"seed": 1, "training_flops": 2_000_000_000}]}
    (point,) = summarise_run(write_emotion_run(tmp_path / "r", {SHORT: rows}, units=units)).points
    assert (point.uar, point.uar_loss) == pytest.approx((0.625, 0.375))  # (3/4 + 2/4) / 2
    assert point.recalls == (0.75, 0.5)
    assert point.confusion == ((3, 1), (2, 2))
    assert point.wa == 0.625
    assert point.macro_f1 == pytest.approx((2 * 3 / 9 + 2 * 2 / 7) / 2)
    assert point.rtf == pytest.approx((7 * 0.1 + 0.5) / 16)
    assert (point.latency_p50_s, point.latency_p95_s) == (0.1, 0.5)
    assert point.executed_gflops == 2
    assert (point.trainable_params, point.training_gflops, point.train_s) == (4000, 1.5, 5)


def test_seeds_are_averaged_utterance_by_utterance(tmp_path):
    from allophone.ledger.ledger import Ledger
    from allophone.ledger.trained_units import add_unit
    from emotion_builders import emotion_row, trained_unit

    record = emotion_record([SHORT], 4, seeds=(0, 1))
    with Ledger(tmp_path / "r", record) as ledger:
        ledger.append([emotion_row(SHORT, index) for index in range(4)])
        ledger.append([emotion_row(SHORT, index, seed=1, correct=index > 1) for index in range(4)])
        add_unit(tmp_path / "r", trained_unit(SHORT.name))
    summary = summarise_run(tmp_path / "r")
    assert summary.samples.hits.tolist() == [[0.5, 0.5, 1.0, 1.0]]
    assert summary.points[0].uar == 0.75
    assert summary.points[0].confusion == ((3, 1), (1, 3))


def test_what_failed_at_one_point_counts_at_none(tmp_path):
    rows = {SHORT: [{}, {"error": "silent"}, WRONG, {}], LONG: [WRONG, {}, {}, {}]}
    summary = summarise_run(write_emotion_run(tmp_path / "r", rows))
    assert summary.samples.utterances == ("u0", "u2", "u3")
    assert [point.uar for point in summary.points] == [0.75, 0.75]
    assert summary.failures == (("u1", "silent"),)
    assert "1 recordings could not be used and are left out." in summary.notices
    assert summary.points[0].n_utterances == 3
    assert summary.notices[0].endswith("never heard: 3 of its 4 utterances.")


def test_a_run_in_progress_compares_the_folds_that_all_points_have(tmp_path):
    first = [{"fold": "fold-0"}] * 4
    second = [{"fold": "fold-1", "correct": False}] * 4
    run = write_emotion_run(tmp_path / "r", {SHORT: first + second, LONG: first}, n_utterances=8)
    summary = summarise_run(run)
    assert [point.n_utterances for point in summary.points] == [4, 4]
    assert [point.uar for point in summary.points] == [1, 1]
    assert summary.notices[0].startswith("Every point will be trained ")
    assert "The run is in progress: 12 of 16 rows are measured." in summary.notices
    assert "Points are compared on the 4 of 8 utterances that all of them have." in summary.notices


def test_nothing_measured(tmp_path):
    run = write_emotion_run(tmp_path / "r", {SHORT: []}, n_utterances=4, units={SHORT: []})
    with pytest.raises(LedgerError, match="nothing is measured yet"):
        summarise_run(run)


def test_a_class_without_an_utterance_has_no_recall(tmp_path):
    rows = [{"label": "high", "predicted": "high"}] * 4
    (point,) = summarise_run(write_emotion_run(tmp_path / "r", {SHORT: rows})).points
    assert (point.recalls, point.uar) == ((1.0, None), 1.0)


def test_runs_of_both_tasks_are_summarised(tmp_path):
    assert isinstance(
        summarise_run(write_run(tmp_path / "a", {OperatingPoint(model="base"): [{}]})), RecognitionRunSummary
    )
    assert isinstance(summarise_run(write_emotion_run(tmp_path / "e", {SHORT: [{}] * 4})), EmotionRunSummary)


@pytest.fixture
def clear(tmp_path):
    """Six speakers; the long point is right everywhere and takes twice the time, the short one always misses low."""
    short = [{"correct": index % 2 == 0} for index in range(24)]
    dear = [{"latency_s": 0.2, "executed_flops": 4_000_000_000}] * 24
    return write_emotion_run(tmp_path / "r", {SHORT: short, LONG: dear})


def test_the_frontier_is_of_uar_and_cost(clear):
    found = Frontier.from_run(clear, "executed_gflops")
    assert [point.name for point in found.points] == [SHORT.name, LONG.name]
    assert [point.status for point in found.points] == ["on", "on"]
    assert found.quality.name == "uar_loss"
    fields = found.to_dict()
    assert (fields["task"], fields["quality_name"], fields["points"][0]["uar"]) == ("emotion", "UAR", 0.5)


def test_a_dearer_training_dominates_nothing(tmp_path):
    rows = {SHORT: [{}] * 24, LONG: [{}] * 24}
    run = write_emotion_run(tmp_path / "r", rows, units={LONG: [{"training_flops": 9_000_000_000_000}]})
    cheap, dear = Frontier.from_run(run, "training_gflops").points
    assert (cheap.status, dear.status, dear.dominated_by) == ("on", "dominated", SHORT.name)


def test_a_recommendation_speaks_of_uar(clear):
    run = summarise_run(clear)
    answer = recommend(run)
    assert answer.chosen.name == LONG.name
    assert answer.question == "Which operating point has the highest unweighted average recall?"
    limited = recommend(run, {"uar": 0.6})  # a loss of at most 0.6: UAR at least 40 %
    assert limited.chosen.name == SHORT.name
    assert "unweighted average recall at least 40.0 %" in limited.question
    with pytest.raises(InfeasibleError, match="6 speakers are too few"):
        recommend(run, {"uar": 0.6}, confidence=0.9)
    assert recommend(run, {"trainable_params": 5000.0}).chosen.name == LONG.name


A = EmotionSetting(model="tiny.en", duration_s=1.0)
B = EmotionSetting(model="tiny.en", duration_s=2.0)


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(0)
    rows = {
        point: [{"correct": bool(rng.random() < 0.7), "latency_s": float(rng.uniform(0.1, 0.4))} for _ in range(40)]
        for point in (A, B)
    }
    return summarise_run(write_emotion_run(tmp_path / "r", rows)).samples


def test_every_objective_is_resampled_and_its_estimate_is_the_summary_s(samples, tmp_path):
    resample = draw_blocks(samples.speakers, n_replicates=200)
    points = summarise_run(tmp_path / "r").points
    for name in objectives_of("emotion"):
        if name in ("price_per_audio_hour", "latency_p99_s"):  # one takes a price, the other more utterances
            with pytest.raises(SpaceError):
                samples.resample(name, resample)
            continue
        found = samples.resample(name, resample)
        assert found.values.shape == (200, 2)
        np.testing.assert_allclose(found.estimates, [getattr(point, name) for point in points])


def test_quality_is_one_minus_the_uar_and_paired_by_speaker(samples):
    resample = draw_blocks(samples.speakers, n_replicates=200)
    assert resample.n_blocks == 10
    loss = samples.resample("uar_loss", resample)
    uar = resample_uar(samples.hits, samples.classes, resample)
    np.testing.assert_allclose(loss.values, 1 - uar.values)
    assert loss.values.std() > 0


def test_what_a_training_costs_is_the_same_in_every_replicate(samples):
    found = samples.resample("train_s", draw_blocks(samples.speakers, n_replicates=50))
    assert (found.values == 5.0).all()


def test_unknown_objective(samples):
    with pytest.raises(SpaceError, match="'wer' cannot be resampled"):
        samples.resample("wer", draw_blocks(samples.speakers, n_replicates=50))


def test_equal_points_are_known_as_such(samples):
    assert samples.equal(0, 0)
    assert not samples.equal(0, 1)
    assert samples.weight == 40


def test_the_interval_of_a_uar_stays_between_nothing_and_all(tmp_path):
    right = [{"correct": bool(index % 4)} for index in range(40)]  # the speaker at every fourth place is always wrong
    rows = {A: [{**row, "speaker": f"s{index % 4}"} for index, row in enumerate(right)]}
    samples = summarise_run(write_emotion_run(tmp_path / "few", rows)).samples
    found = samples.resample("uar_loss", draw_blocks(samples.speakers, n_replicates=200))
    assert found.inflated().min() < 0 or found.inflated().max() > 1
    assert all(0 <= end.low <= end.high <= 1 for end in intervals(found))
