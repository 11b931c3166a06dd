import json
from dataclasses import replace

import numpy as np
import pytest

from allophone.errors import InfeasibleError, UsageError
from allophone.records.point import OperatingPoint
from allophone.routing.calibration import calibrate_policy, calibration_figures, check_speakers, policy_samples
from allophone.routing.policy_file import POLICY_FILE, read_policy
from allophone.routing.regression import speaker_folds
from allophone.routing.replay import replay
from allophone.routing.selection import predicted_router
from allophone.routing.thresholds import CalibrationTarget
from route_runs import BASE, TINY, write_routed


@pytest.mark.parametrize("goal", [CalibrationTarget("big_share", 0.3), CalibrationTarget("wer", 0.3)])
def test_calibration_is_written_with_what_unseen_speakers_showed(policy, unseen, goal):
    written = calibrate_policy(policy, [unseen], goal)
    assert read_policy(policy) == written
    found = written.calibration
    assert (found.target, found.value, found.confidence) == (goal.target, goal.value, 0.9)
    assert (found.forced, found.n_utterances, found.n_speakers) == (False, 120, 12)
    assert getattr(found, goal.target)[0] < 0.95 * goal.value  # room for speakers who were not heard
    for figures in (found, found.cross_fitted):
        for value, low, high in (figures.wer, figures.gflops, figures.seconds, figures.big_share):
            assert low <= value <= high
    assert len(found.fold_thresholds) == 10
    assert min(found.fold_thresholds) <= written.threshold <= max(found.fold_thresholds)


def test_the_cross_fitted_figures_are_those_of_thresholds_set_on_others(policy, unseen):
    found = calibrate_policy(policy, [unseen], CalibrationTarget("gflops", 20.0)).calibration
    router, samples, _ = policy_samples(policy, [unseen])
    folds = speaker_folds(samples.speakers, 10, 0)
    outcomes = [replay(samples, router, threshold) for threshold in found.fold_thresholds]
    flops = sum(outcome.flops[fold].sum() for outcome, fold in zip(outcomes, folds, strict=True))
    errors = sum(outcome.errors[fold].sum() for outcome, fold in zip(outcomes, folds, strict=True))
    assert found.cross_fitted.gflops[0] == pytest.approx(flops / 120 / 1e9)
    assert found.cross_fitted.wer[0] == pytest.approx(errors / samples.weights.sum())


def test_no_share_is_above_one(policy, unseen):
    router, samples, _ = policy_samples(policy, [unseen])
    figures = calibration_figures(samples, replay(samples, router, -1e9))
    assert figures.big_share == (1, 1, 1)
    few = samples.take(np.arange(9))
    kept = replay(few, predicted_router(router, samples).take(np.arange(9)), 0.0)
    kept.reached[:] = np.arange(9) > 0
    assert calibration_figures(few, kept).big_share[2] == 1


def test_speakers_that_trained_are_left_out(policy, seen, unseen):
    found = calibrate_policy(policy, [seen, unseen], CalibrationTarget("big_share", 0.3)).calibration
    assert found.n_utterances == 150
    assert any(warning.startswith("90 utterances of speakers") for warning in found.warnings)
    only = read_policy(policy).model_copy(
        update={"training": read_policy(policy).training.model_copy(update={"speakers": [f"s{i}" for i in range(12)]})}
    )
    from allophone.routing.policy_file import write_policy

    write_policy(policy, only)
    with pytest.raises(UsageError, match="all speakers of these runs trained this policy"):
        calibrate_policy(policy, [seen], CalibrationTarget("big_share", 0.3))


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (
            CalibrationTarget("wer", 0.0001),
            r"error rate of 0\.01 % is out of reach with a probability of 0\.9: on 120 decisions about 12 unseen",
        ),
        (
            CalibrationTarget("gflops", 0.5),
            r"0\.5 GFLOPs is out of reach.*as measured it comes to \d+\.\d+ GFLOPs at the least",
        ),
    ],
)
def test_what_is_out_of_reach_says_how_near_it_comes(policy, unseen, goal, message):
    before = read_policy(policy)
    with pytest.raises(InfeasibleError, match=message):
        calibrate_policy(policy, [unseen], goal)
    assert read_policy(policy) == before


@pytest.mark.parametrize(
    "goal",
    [
        CalibrationTarget("wer", 0.0),
        CalibrationTarget("gflops", -1),
        CalibrationTarget("big_share", 1.5),
        CalibrationTarget("wer", np.nan),
    ],
)
def test_wishes_that_mean_nothing(policy, unseen, goal):
    with pytest.raises(UsageError, match=r"give a positive number|give a number above 0 and at most 1"):
        calibrate_policy(policy, [unseen], goal)


def test_too_little_is_refused_and_forced(policy, tmp_path):
    few = write_routed(tmp_path / "few", 40, prefix="u")
    with pytest.raises(UsageError, match="40 utterances of 12 speakers"):
        calibrate_policy(policy, [few], CalibrationTarget("big_share", 0.3))
    forced = calibrate_policy(policy, [few], CalibrationTarget("big_share", 0.3), force=True).calibration
    assert (forced.n_utterances, forced.forced) == (40, False)  # there are speakers enough to promise


def test_a_promise_for_new_speakers_takes_eight(policy, tmp_path):
    six = write_routed(tmp_path / "six", 120, 6, prefix="u")
    before = read_policy(policy)
    with pytest.raises(UsageError, match=r"6 speakers.* worth 6\.0; that takes 8.* meets it, with a WER.* of 2 more"):
        calibrate_policy(policy, [six], CalibrationTarget("big_share", 0.3))
    assert read_policy(policy) == before
    found = calibrate_policy(policy, [six], CalibrationTarget("big_share", 0.3), force=True).calibration
    assert found.forced
    assert found.warnings[0].startswith("Forced: 6 speakers")


def test_speakers_that_are_not_told_apart_promise_nothing(policy, unseen):
    router, samples, _ = policy_samples(policy, [unseen])
    unnamed = replace(samples, speakers=(None,) * 120)
    scored = predicted_router(router, unnamed)
    with pytest.raises(UsageError, match=r"no utterance names its speaker.*Name speakers in the manifest"):
        check_speakers(unnamed, scored, CalibrationTarget("wer", 0.3))
    with pytest.raises(UsageError, match="no threshold meets it even on these"):
        check_speakers(unnamed, scored, CalibrationTarget("wer", 0.0001))


def test_cards_that_promised_nothing_still_load(policy, unseen):
    calibrate_policy(policy, [unseen], CalibrationTarget("big_share", 0.3))
    path = policy / POLICY_FILE
    card = json.loads(path.read_text())
    new = ("confidence", "forced", "cross_fitted", "fold_thresholds", "folds_unmet")
    kept = {name: value for name, value in card["calibration"].items() if name not in new}
    card["calibration"] = {**kept, "threshold_interval": [0.1, 0.2]}
    path.write_text(json.dumps(card))
    found = read_policy(policy).calibration
    assert (found.confidence, found.cross_fitted, found.threshold_interval) == (None, None, (0.1, 0.2))


def test_a_run_without_the_policys_points(policy, tmp_path):
    other = OperatingPoint(model="fake:base", beam_size=5)
    run = write_routed(tmp_path / "r", 20, points=(TINY,))
    with pytest.raises(UsageError, match=f"'{BASE.name}' is no point of this run"):
        calibrate_policy(policy, [run], CalibrationTarget("big_share", 0.3))
    assert other.name != BASE.name
