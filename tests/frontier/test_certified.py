"""Certified points of runs: their order, what a race leaves open, and checks on other runs."""

import numpy as np
import pytest

from allophone.errors import InfeasibleError, UsageError
from allophone.frontier.certified import certify_points, check_point, only_points
from allophone.frontier.summarise import summarise_run
from allophone.guarantee.certify import read_limits
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import PointFile
from builders import write_run

TINY, TINY_2 = OperatingPoint(model="tiny.en"), OperatingPoint(model="tiny.en", token_stride=2)
TINY_4, SMALL = OperatingPoint(model="tiny.en", token_stride=4), OperatingPoint(model="small.en")
CLIPPED = read_limits(["wer_clipped<=30"])


def rows(errors, n=80, speakers=40):
    return [
        {"hits": 10 - errors, "substitutions": errors, "speaker": f"s{i % speakers}", "latency_s": 1.0}
        for i in range(n)
    ]


def summary(folder, points, **changes):
    return summarise_run(write_run(folder, {point: rows(errors) for point, errors in points.items()}, **changes))


def test_each_model_is_tested_from_dear_to_cheap(tmp_path):
    # listed from cheap to dear: strides 4 and 2 are cheaper than all tokens
    found = certify_points(summary(tmp_path / "r", {TINY_4: 0, TINY_2: 9, TINY: 0, SMALL: 0}), CLIPPED, 0.95)
    assert list(found) == [SMALL.name, TINY.name]  # stride 2 fails and ends the sequence of its model
    assert found[TINY.name][0].n_tested == 4
    assert "model by model" in found[TINY.name][0].order


def test_a_bad_model_does_not_end_the_sequence_of_another(tmp_path):
    found = certify_points(summary(tmp_path / "r", {SMALL: 9, TINY: 0}), CLIPPED, 0.95)
    assert list(found) == [TINY.name]


def test_nothing_certified_says_why(tmp_path):
    run = summary(tmp_path / "r", {TINY: 2})
    with pytest.raises(InfeasibleError, match=r"keep wer<=30 with confidence 0.95. 40 speakers were heard; .* about"):
        certify_points(run, read_limits(["wer<=30"]), 0.95)
    with pytest.raises(InfeasibleError, match="does not keep the limit by enough"):
        certify_points(run, read_limits(["wer_clipped<=15"]), 0.95)


def test_a_guard_without_a_bound_is_left_out(tmp_path):
    guarded = OperatingPoint(model="tiny.en", context="fit", margin_s=20.0, guard=True)
    with pytest.raises(InfeasibleError, match="guard may cut a window"):
        certify_points(summary(tmp_path / "r", {guarded: 0}), read_limits(["wer<=30"]), 0.95)
    assert certify_points(summary(tmp_path / "s", {guarded: 0}), CLIPPED, 0.95)


def test_a_race_that_is_not_done_is_refused(tmp_path):
    for plan in ("race", "joint"):
        run = summary(tmp_path / plan, {TINY: 0}, n_utterances=100, plan=plan)
        with pytest.raises(UsageError, match=f"this {plan} has not measured all utterances"):
            certify_points(run, CLIPPED, 0.95)
    assert certify_points(summary(tmp_path / "star", {TINY: 0}, n_utterances=100), CLIPPED, 0.95)


def test_a_point_that_was_not_measured_ends_its_sequence(tmp_path):
    folder = write_run(tmp_path / "r", {TINY: [], TINY_2: rows(0)})
    with pytest.raises(InfeasibleError):
        certify_points(summarise_run(folder), CLIPPED, 0.95)


def test_a_run_can_be_cut_to_some_points(tmp_path):
    run = summary(tmp_path / "r", {TINY: 1, TINY_2: 2, SMALL: 0})
    cut = only_points(run, {TINY_2.name, SMALL.name})
    assert [point.name for point in cut.points] == [TINY_2.name, SMALL.name] == list(cut.samples.points)
    np.testing.assert_array_equal(cut.samples.errors, run.samples.errors[1:])


def test_a_point_file_is_checked_on_another_run(tmp_path):
    run = summary(tmp_path / "r", {TINY: 1})
    saved = PointFile(point=TINY, certificates=list(certify_points(run, CLIPPED, 0.95)[TINY.name]))
    assert "cannot test it" in check_point(saved, run)[0]
    worse = summary(tmp_path / "s", {TINY: 6, SMALL: 0}, fingerprint="e" * 64)
    told = check_point(saved, worse)
    assert "did not hold" in told[0]
    assert "40 of these speakers" in told[1]
    with pytest.raises(UsageError, match="has not measured"):
        check_point(saved, summary(tmp_path / "t", {SMALL: 0}))
    with pytest.raises(UsageError, match="no certificate to check"):
        check_point(PointFile(point=TINY), run)
