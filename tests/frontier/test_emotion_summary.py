import pytest

from allophone.errors import InfeasibleError, LedgerError
from allophone.frontier.emotion_summary import EmotionRunSummary, summarise_any_run, summarise_emotion
from allophone.frontier.pareto import Frontier
from allophone.frontier.recommend import recommend
from allophone.frontier.summary import RunSummary
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
    (point,) = summarise_emotion(write_emotion_run(tmp_path / "r", {SHORT: rows}, units=units)).points
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
    summary = summarise_emotion(tmp_path / "r")
    assert summary.samples.hits.tolist() == [[0.5, 0.5, 1.0, 1.0]]
    assert summary.points[0].uar == 0.75
    assert summary.points[0].confusion == ((3, 1), (1, 3))


def test_what_failed_at_one_point_counts_at_none(tmp_path):
    rows = {SHORT: [{}, {"error": "silent"}, WRONG, {}], LONG: [WRONG, {}, {}, {}]}
    summary = summarise_emotion(write_emotion_run(tmp_path / "r", rows))
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
    summary = summarise_emotion(run)
    assert [point.n_utterances for point in summary.points] == [4, 4]
    assert [point.uar for point in summary.points] == [1, 1]
    assert summary.notices[0].startswith("Every point will be trained ")
    assert "The run is in progress: 12 of 16 rows are measured." in summary.notices
    assert "Points are compared on the 4 of 8 utterances that all of them have." in summary.notices


def test_nothing_measured(tmp_path):
    run = write_emotion_run(tmp_path / "r", {SHORT: []}, n_utterances=4, units={SHORT: []})
    with pytest.raises(LedgerError, match="nothing is measured yet"):
        summarise_emotion(run)


def test_a_class_without_an_utterance_has_no_recall(tmp_path):
    rows = [{"label": "high", "predicted": "high"}] * 4
    (point,) = summarise_emotion(write_emotion_run(tmp_path / "r", {SHORT: rows})).points
    assert (point.recalls, point.uar) == ((1.0, None), 1.0)


def test_runs_of_both_tasks_are_summarised(tmp_path):
    assert isinstance(summarise_any_run(write_run(tmp_path / "a", {OperatingPoint(model="base"): [{}]})), RunSummary)
    assert isinstance(summarise_any_run(write_emotion_run(tmp_path / "e", {SHORT: [{}] * 4})), EmotionRunSummary)


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
    run = summarise_emotion(clear)
    answer = recommend(run)
    assert answer.chosen.name == LONG.name
    assert answer.question == "Which operating point has the highest unweighted average recall?"
    limited = recommend(run, {"uar": 0.6})  # a loss of at most 0.6: UAR at least 40 %
    assert limited.chosen.name == SHORT.name
    assert "unweighted average recall at least 40.0 %" in limited.question
    with pytest.raises(InfeasibleError, match="6 speakers are too few"):
        recommend(run, {"uar": 0.6}, confidence=0.9)
    assert recommend(run, {"trainable_params": 5000.0}).chosen.name == LONG.name
