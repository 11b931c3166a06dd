from math import isnan

import numpy as np
import pytest

from allophone.compare.changes import compare_pair, contrast, probability_of_rise
from allophone.compare.conditions import read_condition
from allophone.compare.pairing import pair_runs
from allophone.errors import InfeasibleError, SpaceError, UsageError
from allophone.measure.blocks import draw_blocks
from allophone.records.point import EmotionSetting
from builders import write_run
from compare_runs import N_UTTERANCES, STRIDE, TINY, utterances, write_timed
from emotion_builders import write_emotion_run

EVERY_THIRD = [int(index % 3 == 0) for index in range(N_UTTERANCES)]
MORE = [int(index % 3 == 0) + int(index % 2 == 0) for index in range(N_UTTERANCES)]


@pytest.fixture
def before(tmp_path):
    return write_timed(tmp_path / "before", {TINY: utterances(EVERY_THIRD), STRIDE: utterances(2)})


def compared(before, after, *conditions, points=(), confidence=0.95):
    read = [read_condition(text) for text in conditions]
    return compare_pair(pair_runs(before, after, points), read, confidence)


def change_of(comparison, name, point=TINY):
    return next(c for c in comparison.changes if c.objective.name == name and c.point.before == point.name)


def test_changes_are_paired_and_in_base_units(before, tmp_path):
    after = write_timed(tmp_path / "after", {TINY: utterances(MORE, 1.5), STRIDE: utterances(2)})
    found = compared(before, after)
    change = change_of(found, "wer")
    assert (change.before, change.after) == pytest.approx((20 / 600, 50 / 600))  # 20 and 20 + 30 of 600 words
    assert change.difference.estimate == pytest.approx(0.05)
    # the same share is added for every speaker or for none: even speakers have all of it
    assert 0 < change.difference.low < 0.05 < change.difference.high
    assert change.p_regression > 0.99
    rtf = change_of(found, "rtf")
    assert rtf.after / rtf.before == pytest.approx(1.5)
    assert rtf.p_regression > 0.99
    assert not found.failed


def test_what_did_not_change_has_no_probability(before, tmp_path):
    found = compared(before, write_timed(tmp_path / "after", {TINY: utterances(EVERY_THIRD)}))
    assert isnan(change_of(found, "wer").p_regression)
    assert isnan(change_of(found, "executed_gflops").p_regression)
    assert isnan(change_of(found, "rtf").p_regression)


def test_a_gain_is_a_small_probability_of_a_regression(tmp_path):
    worse = write_timed(tmp_path / "worse", {TINY: utterances(MORE)})
    better = write_timed(tmp_path / "better", {TINY: utterances(EVERY_THIRD)})
    assert change_of(compared(worse, better), "wer").p_regression < 0.01


def test_conditions_fail_where_the_change_is_surely_greater(before, tmp_path):
    after = write_timed(tmp_path / "after", {TINY: utterances(MORE, 1.5), STRIDE: utterances(2)})
    found = compared(before, after, "wer > +0.3", "wer > +6", "rtf > +20%", "executed_gflops > +1%")
    outcomes = {outcome.condition.text: outcome for outcome in found.outcomes}
    assert outcomes["wer > +0.3"].failed == (TINY.title,)
    assert outcomes["rtf > +20%"].failed == (TINY.title,)
    assert outcomes["wer > +6"].failed == ()  # it rose by 5 points
    assert outcomes["executed_gflops > +1%"].failed == ()
    assert outcomes["wer > +6"].p == 1
    assert found.failed


def test_an_exact_cost_fails_only_beyond_the_condition(before, tmp_path):
    after = write_timed(tmp_path / "after", {TINY: utterances(EVERY_THIRD, executed_flops=44_000_000_000)})
    assert compared(before, after, "executed_gflops > +9.9%").failed
    assert not compared(before, after, "executed_gflops > +10%").failed
    assert not compared(before, after, "executed_gflops > +4").failed


def test_equal_runs_never_fail_even_without_any_allowance(before, tmp_path):
    again = write_timed(tmp_path / "again", {TINY: utterances(EVERY_THIRD), STRIDE: utterances(2)})
    found = compared(before, again, "wer > +0", "executed_gflops > +0%", "wer > +0%")
    assert not found.failed
    assert {outcome.p for outcome in found.outcomes} == {1.0}


def test_conditions_share_the_false_alarm_rate(before, tmp_path):
    # 7 of 60 utterances have one error more: alone it is found, among many conditions it takes more
    some = [count + int(index in range(0, 60, 9)) for index, count in enumerate(EVERY_THIRD)]
    others = [2 + (index * 7 + index // 11) % 3 - 1 for index in range(N_UTTERANCES)]
    after = write_timed(tmp_path / "after", {TINY: utterances(some), STRIDE: utterances(others)})
    alone = compared(before, after, "wer > +0", points=[TINY.name]).outcomes[0].p
    among = compared(before, after, "wer > +0", "wer > +1%").outcomes[0].p
    assert alone < 0.05
    assert alone < among


def test_a_contrast_is_after_less_a_multiple_of_before(before, tmp_path):
    after = write_timed(tmp_path / "after", {TINY: utterances(MORE, 1.5)})
    samples = pair_runs(before, after).samples
    resample = draw_blocks(samples.speakers, n_replicates=200)
    found = contrast(samples, 1, "wer", 2.0, resample)
    assert found.estimates.tolist() == pytest.approx([50 / 600 - 2 * 20 / 600])
    quantile = contrast(samples, 1, "latency_p95_s", 1.5, resample)
    assert quantile.estimates.tolist() == pytest.approx([0.0])  # every time is 1.5 times as long
    up, down = (probability_of_rise(contrast(samples, 1, "wer", factor, resample)) for factor in (2.0, 3.0))
    assert up[0] > 0.5 > down[0]
    assert np.isnan(probability_of_rise(contrast(samples, 1, "executed_gflops", 1.0, resample))).all()


def test_emotion_runs_are_compared_by_recall(tmp_path):
    setting = EmotionSetting(model="tiny.en", duration_s=1.0)
    n = 48
    one = write_emotion_run(tmp_path / "one", {setting: [{}] * n})
    other = write_emotion_run(tmp_path / "other", {setting: [{"correct": index % 4 != 0} for index in range(n)]})
    found = compare_pair(pair_runs(one, other), [read_condition("uar < -5", "emotion")])
    change = next(change for change in found.changes if change.objective.name == "uar_loss")
    assert change.difference.estimate == pytest.approx(0.25)  # half of the class high is lost
    assert found.failed


def test_conditions_that_could_not_keep_their_rate_are_refused(before, tmp_path):
    few = [{**row, "speaker": f"s{index % 5}"} for index, row in enumerate(utterances(1))]
    after = write_timed(tmp_path / "after", {TINY: few})
    with pytest.raises(InfeasibleError, match=r"from 8 speakers on, and the shared utterances are worth 5\.0"):
        compared(after, before, "wer > +0.3")
    assert isnan(change_of(compared(after, before), "wer").p_regression)
    silent = write_run(tmp_path / "silent", {TINY: utterances(1)}, n_speakers=12)
    with pytest.raises(UsageError, match="noise of real-time factor is unknown"):
        compared(before, silent, "rtf > +10%")
    assert not compared(silent, before, "wer > +0.3").failed
    other = write_timed(tmp_path / "other", {TINY: utterances(1)}, threads=4)
    with pytest.raises(UsageError, match=r"differ in threads 1 and 4\. Use executed_gflops"):
        compared(before, other, "rtf > +10%")
    assert all(change.objective.name not in {"rtf", "latency_p95_s"} for change in compared(before, other).changes)
    growing = write_run(tmp_path / "growing", {TINY: utterances(1)[:30]}, n_utterances=N_UTTERANCES)
    with pytest.raises(UsageError, match="is in progress"):
        compared(before, growing, "wer > +0.3")
    with pytest.raises(SpaceError, match="character errors were not counted"):
        compared(before, silent, "cer > +0.3")


def test_times_of_a_busy_machine_are_shown_and_decide_nothing(before, tmp_path):
    waited = [{**row, "cpu_s": row["latency_s"] / 2} for row in utterances(EVERY_THIRD, 3.0)]
    after = write_timed(tmp_path / "after", {TINY: waited})
    assert pair_runs(before, after).busy
    with pytest.raises(UsageError, match="other work ran on the machine"):
        compared(before, after, "rtf > +10%")
    found = compared(before, after, "wer > +1")
    assert change_of(found, "rtf").after == pytest.approx(3 * change_of(found, "rtf").before)
    assert isnan(change_of(found, "rtf").p_regression)
    assert isnan(change_of(found, "peak_memory_bytes").p_regression)


def test_a_change_below_the_noise_floor_never_fails(before, tmp_path):
    samples = pair_runs(before, write_timed(tmp_path / "same", {TINY: utterances(EVERY_THIRD)})).samples
    floor = samples.noise["rtf"].floor
    for share, fails in ((0.5, False), (1.5, True)):
        slower = utterances(EVERY_THIRD, 1 + share * floor)
        after = write_timed(tmp_path / f"after {share}", {TINY: slower})
        assert compared(before, after, "rtf > +0%").failed is fails
