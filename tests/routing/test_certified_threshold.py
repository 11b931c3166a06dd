"""Policies certified to keep limits: thresholds fixed beforehand, the cheapest that passes, checks on other runs."""

from math import inf

import numpy as np
import pytest

from allophone.errors import InfeasibleError
from allophone.guarantee.certify import read_limits
from allophone.routing.calibration import calibrate_policy, policy_samples
from allophone.routing.certified_threshold import certify_policy, check_policy, fixed_thresholds
from allophone.routing.policy_file import read_policy
from allophone.routing.replay import replay
from allophone.routing.thresholds import CalibrationTarget
from allophone.routing.training import train_policy
from route_runs import BASE, TINY, write_routed

pytest.importorskip("onnx")
pytest.importorskip("torch")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certified")
    seen = write_routed(folder / "seen")
    train_policy([seen], [TINY.name, BASE.name], folder / "p", choice=False)
    return folder / "p", write_routed(folder / "unseen", 600, 150, seed=1, prefix="u")


def test_the_cheapest_certified_threshold_is_between_the_points(made):
    folder, unseen = made
    policy = certify_policy(folder, [unseen], read_limits(["wer_clipped<=20"]), 0.9)
    assert read_policy(folder) == policy
    assert policy.calibration is None
    (found,) = policy.certificates
    assert (found.n_speakers, found.n_tested) == (150, len(fixed_thresholds(policy)))
    router, samples, _ = policy_samples(folder, [unseen])
    always, here, never = (replay(samples, router, at) for at in (-inf, policy.threshold, inf))
    assert always.flops.sum() > here.flops.sum() > never.flops.sum()
    assert here.errors.sum() / samples.weights.sum() < 0.2
    tighter = certify_policy(folder, [unseen], read_limits(["wer_clipped<=15"]), 0.9)
    assert tighter.threshold < policy.threshold


def test_thresholds_do_not_depend_on_the_runs(made):
    folder, _ = made
    policy = read_policy(folder)
    found = fixed_thresholds(policy)
    assert found[0] == -1e9
    assert found[-1] == 1e9
    assert (np.diff(found[1:-1]) > 0).all()
    assert found[1] == min(low for low, _ in policy.score_range)


def test_what_is_out_of_reach_says_how_many_speakers_it_takes(made):
    folder, unseen = made
    with pytest.raises(InfeasibleError, match=r"150 speakers were heard; .* always fake.base.* would take about"):
        certify_policy(folder, [unseen], read_limits(["wer<=30"]), 0.9)


def test_another_wish_takes_the_certificate_back(made):
    folder, unseen = made
    certify_policy(folder, [unseen], read_limits(["wer_clipped<=20"]), 0.9)
    assert calibrate_policy(folder, [unseen], CalibrationTarget("big_share", 0.3, 0.9)).certificates == []
    assert check_policy(folder, [unseen]) == []


def test_other_runs_tell_whether_it_held(made, tmp_path):
    folder, unseen = made
    certify_policy(folder, [unseen], read_limits(["wer_clipped<=20"]), 0.9)
    assert "cannot test it" in check_policy(folder, [unseen])[0]
    other = write_routed(tmp_path / "other", 600, 150, seed=2, prefix="o")
    record = other / "run.json"
    record.write_text(record.read_text().replace("f" * 64, "e" * 64))
    assert "confidence 0.9: held on 600 utterances of 150 speakers" in check_policy(folder, [other])[0]
    lone = write_routed(tmp_path / "lone", 120, 1, prefix="l")
    assert "All utterances are of one speaker, l0" in check_policy(folder, [lone])[0]
