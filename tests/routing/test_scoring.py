from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest

from allophone.routing.network import Network, Scaling
from allophone.routing.policy_file import read_policy
from allophone.routing.routers import reached_points
from allophone.routing.samples import read_route_samples
from allophone.routing.scoring import PolicyRouter, Scorer, expected_gflops, load_scorer, step_costs
from allophone.routing.transcript_features import READING_FEATURES, pair_features, reading_features
from route_runs import BASE, SMALL, TINY


def constant(n_features, value):
    return Network(
        Scaling(np.zeros(n_features), np.ones(n_features)), (), ((np.zeros((n_features, 1)), np.array([value])),)
    )


def test_a_batch_and_one_alone_score_alike(trained, unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    scorer = load_scorer(trained, read_policy(trained))
    together = PolicyRouter(scorer).scores(samples)
    alone = [scorer.score_readings(0, [reading])[0] for reading in samples.readings[0]]
    assert together[0] == pytest.approx(alone, abs=1e-6)
    part = PolicyRouter(scorer).on(np.array([3, 4])).scores(samples.take(np.array([3, 4])))
    assert part[0] == pytest.approx(alone[3:5], abs=1e-6)


def test_a_decision_takes_under_two_milliseconds(trained, unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    scorer = load_scorer(trained, read_policy(trained))
    times = []
    for reading in samples.readings[0][:50]:
        started = perf_counter()
        scorer.score_readings(0, [reading])
        times.append(perf_counter() - started)
    assert np.median(times) < 0.002


def test_expected_gflops_are_the_polynomial_and_never_nothing():
    found = expected_gflops([(1.0, 2.0, 3.0), (-9.0, 0.0, 0.0)], np.array([0.0, 2.0]))
    assert found.tolist() == [[1, 17], [1e-3, 1e-3]]


def test_step_costs_are_what_climbing_adds(trained):
    policy = read_policy(trained).model_copy(
        update={"gflops_by_duration": [(4.0, 0, 0), (10.0, 0, 0), (3.0, 0, 0)], "per_gflop": True}
    )
    seconds = np.array([5.0])
    assert step_costs(policy, seconds).tolist() == [[10]]  # a cascade has paid for the first point already
    encoder = policy.model_copy(update={"kind": "decider", "reads": "encoder"})
    assert step_costs(encoder, seconds).tolist() == [[9]]  # 10 instead of 4, and the encoder's 3 lost
    assert step_costs(encoder.model_copy(update={"reads": "mel"}), seconds).tolist() == [[6]]
    assert step_costs(policy.model_copy(update={"per_gflop": False}), seconds).tolist() == [[1]]


def test_a_choice_goes_back_to_the_cheaper_transcript(trained, unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    policy = read_policy(trained)
    n = len(pair_features(samples.readings[0][0], samples.readings[1][0]))
    steps = [constant(len(READING_FEATURES), 1.0)]
    for value, kept in ((-1.0, 0), (1.0, 1)):
        router = PolicyRouter(Scorer(policy, steps, [constant(n, value)]))
        assert set(router.kept(samples)[1].tolist()) == {kept}
        assert router.overhead.reads_last
    assert PolicyRouter(Scorer(policy, steps)).kept(samples)[1].tolist() == [1] * 120


def test_a_decider_over_three_points_may_pass_one_over(trained):
    policy = read_policy(trained)
    policy = policy.model_copy(
        update={
            "kind": "decider",
            "reads": "mel",
            "points": [TINY, BASE, SMALL],
            "per_gflop": True,
            "gflops_by_duration": [(1.0, 0, 0), (2.0, 0, 0), (3.0, 0, 0), (0.5, 0, 0)],
        }
    )
    from allophone.routing.audio_features import AudioView

    views = [AudioView(np.zeros(4, np.float32), None)]
    # The first step saves nothing, the second six: at any price below 3 the best is the last point.
    scorer = Scorer(policy, [constant(4, 0.0), constant(4, 6.0)])
    scores = scorer.score_audio(views, np.array([5.0]))
    assert scores[:, 0] == pytest.approx([3, 3], abs=1e-4)
    assert reached_points(scores, 2.9).tolist() == [2]
    assert reached_points(scores, 3.1).tolist() == [0]


def test_reading_features_are_what_the_model_sees(trained, unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    seen = []

    class Watching:
        def predict(self, features):
            seen.append(features)
            return np.zeros((len(features), 1))

    reading = replace(samples.readings[0][0], text="other words")
    Scorer(read_policy(trained), [Watching()]).score_readings(0, [reading])
    assert seen[0].tolist() == [reading_features(reading).tolist()]
