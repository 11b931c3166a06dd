import shutil

import numpy as np
import pytest

from allophone.decide import decide, save_decision
from allophone.errors import UsageError
from allophone.frontier.pareto import Frontier
from allophone.frontier.recommend import recommend
from allophone.frontier.summarise import summarise_run
from allophone.ledger.throughput_record import ThroughputPass, ThroughputRecord, write_throughput
from allophone.routing.as_points import add_policies
from allophone.routing.calibration import calibrate_policy, policy_samples
from allophone.routing.replay import replay
from allophone.routing.thresholds import CalibrationTarget
from allophone.transcription.transcriber import load_point


def test_a_policy_is_a_point_with_the_counts_of_its_replay(trained, unseen):
    summary = add_policies(summarise_run(unseen), unseen, [trained])
    point = summary.points[-1]
    router, samples, _ = policy_samples(trained, [unseen])
    outcome = replay(samples, router, 0.0)
    assert point.name == "policy"
    assert point.substitutions == outcome.errors.sum()
    assert point.wer == outcome.errors.sum() / samples.weights.sum()
    assert point.executed_gflops == pytest.approx(outcome.flops.mean() / 1e9)
    assert point.latency_mean_s == pytest.approx(outcome.seconds.mean())
    assert point.peak_memory_bytes == sum(other.peak_memory_bytes for other in summary.points[:-1])
    assert summary.samples.errors[-1].tolist() == outcome.errors.tolist()
    assert np.isfinite(point.published_gflops)


def test_the_frontier_and_the_recommendation_weigh_it(policy, unseen, tmp_path):
    trained = policy
    calibrate_policy(policy, [unseen], CalibrationTarget("gflops", 15.0))
    summary = add_policies(summarise_run(unseen), unseen, [trained])
    found = Frontier.from_summary(summary, "executed_gflops")
    assert {point.name for point in found.points} == {point.name for point in summary.points}
    middle = summary.points[-1]
    limits = {"executed_gflops": middle.executed_gflops * 1.001}
    assert recommend(summary, limits).chosen.name == "policy"
    saved = decide(unseen, limits, policies=[trained])
    assert saved.policy == str(trained)
    run = shutil.copytree(unseen, tmp_path / "run")
    save_decision(run, saved, tmp_path / "point.json")
    with pytest.raises(UsageError, match=r"point\.json: field 'policy'.*--policy"):
        load_point(tmp_path / "point.json")


def test_a_policy_is_not_weighed_on_speakers_that_trained_it(trained, seen):
    with pytest.raises(UsageError, match=r"90 utterances of .* are of speakers that trained this policy"):
        add_policies(summarise_run(seen), seen, [trained])


def test_two_policies_need_two_names(trained, unseen):
    with pytest.raises(UsageError, match="called 'policy' already"):
        add_policies(summarise_run(unseen), unseen, [trained, trained])


def test_a_policy_has_no_throughput_beside_points_that_have(trained, unseen, tmp_path):
    run = shutil.copytree(unseen, tmp_path / "run")
    names = [point.name for point in summarise_run(run).points]
    passes = tuple(
        ThroughputPass(point=name, round=turn, workers=1, batch_size=1, wall_s=1.0 + place)
        for turn in range(2)
        for place, name in enumerate(names)
    )
    write_throughput(run, ThroughputRecord(jobs=1, batch_size=1, minutes=1, utterances=(0,), audio_s=10, passes=passes))
    summary = add_policies(summarise_run(run), run, [trained])
    found = {point.name: point.status for point in Frontier.from_summary(summary, "rtf_throughput").points}
    assert found.pop("policy") == "unmeasured"
    assert set(found) == set(names)
    assert "unmeasured" not in found.values()
