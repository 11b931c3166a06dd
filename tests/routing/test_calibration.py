import numpy as np
import pytest

from allophone.errors import InfeasibleError, UsageError
from allophone.records import OperatingPoint
from allophone.routing.calibration import Wish, calibrate_policy, choose_threshold, policy_samples
from allophone.routing.curve import replay
from allophone.routing.policy_file import read_policy
from allophone.routing.routers import Overhead
from allophone.routing.samples import read_route_samples
from allophone.routing.selection import PredictedRouter
from route_runs import BASE, TINY, write_routed


@pytest.mark.parametrize("wish", [Wish("gflops", 16.0), Wish("big_share", 0.3), Wish("wer", 0.17)])
def test_the_threshold_is_the_best_of_all_by_brute_force(trained, unseen, wish):
    router, samples, _ = policy_samples(trained, [unseen])
    threshold, (low, high), outcome = choose_threshold(samples, router, wish)
    assert low <= threshold <= high
    scores = router.scores(samples)[0]
    every = [replay(samples, router, value) for value in [*np.unique(scores), scores.min() - 1]]
    measured = {
        "wer": lambda item: item.errors.sum() / samples.words.sum(),
        "gflops": lambda item: item.flops.mean() / 1e9,
        "big_share": lambda item: (item.reached == 1).mean(),
    }[wish.target]
    met = [item for item in every if measured(item) <= wish.value]
    assert measured(outcome) <= wish.value
    if wish.target == "wer":
        assert outcome.flops.mean() == min(item.flops.mean() for item in met)
    else:
        allowed = [item for item in met if scores[item.reached == 1].min(initial=1) > 0]
        assert outcome.flops.mean() == max(item.flops.mean() for item in allowed)


def test_calibration_is_written_with_what_unseen_speakers_showed(policy, unseen):
    written = calibrate_policy(policy, [unseen], Wish("big_share", 0.3))
    assert read_policy(policy) == written
    found = written.calibration
    assert (found.target, found.value, found.n_utterances, found.n_speakers) == ("big_share", 0.3, 120, 12)
    assert found.big_share[0] <= 0.3
    for value, low, high in (found.wer, found.gflops, found.seconds, found.big_share):
        assert low <= value <= high
    assert found.threshold_interval[0] <= written.threshold <= found.threshold_interval[1]


def test_no_share_is_above_one(policy, tmp_path):
    few = write_routed(tmp_path / "few", 12, 3, prefix="u")
    found = calibrate_policy(policy, [few], Wish("big_share", 0.9), force=True).calibration
    assert 0.8 < found.big_share[0] < 1
    assert found.big_share[2] == 1.0


def test_speakers_that_trained_are_left_out(policy, seen, unseen):
    found = calibrate_policy(policy, [seen, unseen], Wish("big_share", 0.3)).calibration
    assert found.n_utterances == 150
    assert any(warning.startswith("90 utterances of speakers") for warning in found.warnings)
    only = read_policy(policy).model_copy(
        update={"training": read_policy(policy).training.model_copy(update={"speakers": [f"s{i}" for i in range(12)]})}
    )
    from allophone.routing.policy_file import write_policy

    write_policy(policy, only)
    with pytest.raises(UsageError, match="all speakers of these runs trained this policy"):
        calibrate_policy(policy, [seen], Wish("big_share", 0.3))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            Wish("wer", 0.0001),
            r"a word error rate of 0\.01 % is out of reach: on 120 decisions about 12 unseen speakers",
        ),
        (Wish("gflops", 0.5), r"a mean cost of 0\.5 GFLOPs is out of reach.*comes to \d+\.\d+ GFLOPs at the least"),
    ],
)
def test_what_is_out_of_reach_says_how_near_it_comes(policy, unseen, wish, message):
    before = read_policy(policy)
    with pytest.raises(InfeasibleError, match=message):
        calibrate_policy(policy, [unseen], wish)
    assert read_policy(policy) == before


@pytest.mark.parametrize("wish", [Wish("wer", 0.0), Wish("gflops", -1), Wish("big_share", 1.5), Wish("wer", np.nan)])
def test_wishes_that_mean_nothing(policy, unseen, wish):
    with pytest.raises(UsageError, match=r"give a positive number|give a number above 0 and at most 1"):
        calibrate_policy(policy, [unseen], wish)


def test_too_little_is_refused_and_forced(policy, tmp_path):
    few = write_routed(tmp_path / "few", 40, prefix="u")
    with pytest.raises(UsageError, match="40 utterances of 12 speakers"):
        calibrate_policy(policy, [few], Wish("big_share", 0.3))
    assert calibrate_policy(policy, [few], Wish("big_share", 0.3), force=True).calibration.n_utterances == 40


def test_a_run_without_the_policys_points(policy, tmp_path):
    other = OperatingPoint(model="fake:base", beam_size=5)
    run = write_routed(tmp_path / "r", 20, points=(TINY,))
    with pytest.raises(UsageError, match=f"'{BASE.name}' is no point of this run"):
        calibrate_policy(policy, [run], Wish("big_share", 0.3))
    assert other.name != BASE.name


def test_no_step_is_climbed_that_is_predicted_to_cost_errors(unseen):
    samples = read_route_samples([unseen], [TINY.name, BASE.name])
    scores = np.linspace(-1, 0.5, 120)[None]
    router = PredictedRouter("r", "cascade", Overhead(), scores)
    threshold, _, outcome = choose_threshold(samples, router, Wish("big_share", 1.0))
    assert threshold >= 0
    assert (outcome.reached == 1).sum() == (scores > threshold).sum() == (scores > 0).sum() - 1
