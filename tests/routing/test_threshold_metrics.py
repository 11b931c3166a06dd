import numpy as np
import pytest

from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio_difference
from allophone.measure.intervals import intervals
from allophone.routing.replay import Outcome, replay
from allophone.routing.routers import OracleRouter
from allophone.routing.samples import read_route_samples
from allophone.routing.threshold_metrics import decision_accuracy, threshold_metrics
from route_runs import BASE, TINY, FixedRouter, write_routed


def test_always_the_last_point_stands_at_its_own_numbers(unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    found = threshold_metrics(samples, FixedRouter(1), 0.0, n_replicates=100)
    assert (found.flops_of_last, found.seconds_of_last, found.share_escalated) == (1, 1, 1)
    assert (found.wer_over_last.low, found.wer_over_last.estimate, found.wer_over_last.high) == (0, 0, 0)
    assert found.wer.estimate == samples.errors[1].sum() / samples.weights.sum()
    assert found.gflops.estimate == pytest.approx(replay(samples, FixedRouter(1), 0.0).flops.mean() / 1e9)


def test_what_an_average_hides_is_counted(unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    last = threshold_metrics(samples, FixedRouter(1), 0.0, n_replicates=100)
    assert (last.p_worse.estimate, last.p_better.estimate) == (0, 0)
    first = threshold_metrics(samples, FixedRouter(0), 0.0, n_replicates=100)
    assert first.p_worse.estimate == (samples.errors[0] > samples.errors[1]).mean()
    assert first.p_better.estimate == (samples.errors[0] < samples.errors[1]).mean()
    assert first.p_worse.low < first.p_worse.estimate < first.p_worse.high <= 1


def test_the_oracle_is_best_at_equal_cost(unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    oracle = OracleRouter()
    middle = np.median(oracle.scores(samples)[np.isfinite(oracle.scores(samples))])
    itself = threshold_metrics(samples, oracle, middle, n_replicates=100).wer_over_oracle
    assert (itself.low, itself.estimate, itself.high) == pytest.approx((0, 0, 0), abs=1e-9)
    assert threshold_metrics(samples, FixedRouter(1), 0.0, n_replicates=100).wer_over_oracle.estimate > 0
    assert threshold_metrics(samples, FixedRouter(0), 0.0, n_replicates=100).wer_over_oracle.estimate == pytest.approx(
        0
    )


def test_decisions_are_right_where_the_better_point_wrote(unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    better = (samples.errors[1] < samples.errors[0]).astype(np.intp)
    nothing = np.zeros(120)
    assert decision_accuracy(samples, Outcome(better, better, nothing, nothing, nothing)) == (1, 1)
    wrong = 1 - better
    right, right_all = decision_accuracy(samples, Outcome(wrong, wrong, nothing, nothing, nothing))
    assert (right, right_all) == (0, 0)
    always = np.ones(120, np.intp)
    assert decision_accuracy(samples, Outcome(always, always, nothing, nothing, nothing))[1] == pytest.approx(
        better.mean()
    )


def test_points_that_never_differ_leave_accuracy_undefined(tmp_path):
    run = write_routed(tmp_path / "r", 20)
    samples = read_route_samples([run], [TINY.name, BASE.name])
    samples.errors[1] = samples.errors[0]
    always = np.ones(20, np.intp)
    assert np.isnan(decision_accuracy(samples, Outcome(always, always, np.ones(20), np.ones(20), np.ones(20)))[0])


def test_no_error_rate_is_below_nothing(tmp_path):
    samples = read_route_samples([write_routed(tmp_path / "r", 12, 3)], [TINY.name, BASE.name])
    # One speaker makes all errors: of three, widened replicates go below 0.
    samples.errors[:] = np.array([speaker == samples.speakers[0] for speaker in samples.speakers]) * 5.0
    samples.errors[1] += 1  # so the difference to it is negative, and may be
    found = threshold_metrics(samples, FixedRouter(0), 0.0, n_replicates=200)
    assert found.wer.low == 0
    assert found.wer_over_last.low <= found.wer_over_last.estimate


def test_a_policy_worse_for_every_speaker_has_the_interval_of_a_difference(tmp_path):
    samples = read_route_samples([write_routed(tmp_path / "r", 40, 8)], [TINY.name, BASE.name])
    samples.errors[0] = samples.errors[1] + np.arange(40) % 3
    found = threshold_metrics(samples, FixedRouter(0), 0.0, n_replicates=400).wer_over_last
    drawn = draw_blocks(samples.speakers, n_replicates=400)
    wanted = intervals(resample_ratio_difference(samples.errors, samples.weights, drawn, 1))[0]
    assert (found.low, found.estimate, found.high) == (wanted.low, wanted.estimate, wanted.high)
    assert found.estimate - found.low == pytest.approx(found.high - found.estimate)  # not on the logarithm, as a rate's
