import numpy as np
import pytest

from allophone.errors import UsageError
from allophone.records.point import OperatingPoint
from allophone.routing.evaluation import evaluate_policy
from allophone.routing.policy_file import read_policy
from allophone.routing.regression import Candidate
from allophone.routing.samples import read_route_samples
from allophone.routing.training import check_enough, train_policy
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from builders import write_run, write_tones
from route_runs import BASE, SMALL, TINY, write_routed

RIDGE = (Candidate(30.0),)
PAIR = [TINY.name, BASE.name]


def test_the_card_says_where_the_policy_comes_from(trained, seen):
    policy = read_policy(trained)
    card = policy.training
    assert policy.points == [TINY, BASE]
    assert card.runs == [str(seen)]
    assert card.n_utterances == 90
    assert len(card.speakers) == 9
    assert sorted(card.speakers + card.held_out) == sorted(f"s{index}" for index in range(12))
    assert not set(card.speakers) & set(card.held_out)
    assert sum(card.label_shares) == pytest.approx(1)
    assert set(policy.weights) == {"fake:tiny", "fake:base"}
    assert policy.duration_s == (2, 6)
    assert 0 < policy.overhead_s < 0.1
    assert policy.overhead_flops > 0


def test_what_doubtful_tokens_tell_is_learnt(trained):
    card = read_policy(trained).training
    assert card.recovered_share > 0.2
    assert card.recovered_share == max(card.candidates.values())


def test_gflops_by_duration_are_those_measured(trained):
    # GFLOPs of the runs are 10 (40) times a quarter of the seconds
    for coefficients, slope in zip(read_policy(trained).gflops_by_duration, (2.5, 10.0), strict=False):
        assert coefficients == pytest.approx((0, slope, 0), abs=1e-6)


def test_the_same_seed_trains_the_same_models(seen, tmp_path):
    pytest.importorskip("onnx")
    for name in "ab":
        train_policy([seen], PAIR, tmp_path / name, candidates=RIDGE, seed=3)
    assert (tmp_path / "a/step-0.onnx").read_bytes() == (tmp_path / "b/step-0.onnx").read_bytes()


def test_three_points_have_two_steps(tmp_path):
    pytest.importorskip("onnx")
    points = (TINY, BASE, SMALL)
    run = write_routed(tmp_path / "r", points=points)
    policy = train_policy([run], [point.name for point in points], tmp_path / "p", candidates=RIDGE)
    assert policy.steps == ["step-0.onnx", "step-1.onnx"]
    assert len(policy.score_range) == 2


@pytest.mark.parametrize("reads", ["encoder", "mel"])
def test_a_decider_is_trained_from_the_audio(tmp_path, reads):
    pytest.importorskip("onnx")
    space = SearchSpace(model=("fake:tiny", "fake:base"), context=("full",), token_stride=(1,), beam_size=(1,))
    sweep(write_tones(tmp_path / "c", n=16, n_speakers=8), out=tmp_path / "r", space=space, plan="grid")
    policy = train_policy(
        [tmp_path / "r"],
        ["fake:tiny", "fake:base"],
        tmp_path / "p",
        kind="decider",
        reads=reads,
        candidates=RIDGE,
        force=True,
    )
    assert (policy.kind, policy.reads, policy.choices) == ("decider", reads, [])
    assert policy.overhead_s_per_audio_s > 0
    held = evaluate_policy(tmp_path / "p", [tmp_path / "r"], n_replicates=20).results[0]
    assert held.n_speakers == len(policy.training.held_out)
    assert [item.name for item in held.flops] == [
        f"decider on {reads}", "duration", "-duration", "random", "snr"
    ]  # fmt: skip


def test_too_little_is_refused_with_the_interval_and_forced(tmp_path):
    pytest.importorskip("onnx")
    few = write_routed(tmp_path / "few", 60)
    message = r"60 utterances of 12 speakers: a router needs 100 of 5.*95 % interval \[.*--force"
    with pytest.raises(UsageError, match=message):
        train_policy([few], PAIR, tmp_path / "p", candidates=RIDGE)
    alike = write_routed(tmp_path / "alike", 120, speakers=4)
    with pytest.raises(UsageError, match="120 utterances of 4 speakers"):
        train_policy([alike], PAIR, tmp_path / "p", candidates=RIDGE)
    assert not (tmp_path / "p").exists()
    policy = train_policy([alike], PAIR, tmp_path / "p", candidates=RIDGE, force=True)
    assert any("Only 3 speakers" in warning for warning in policy.training.warnings)


def test_enough_is_enough(seen):
    check_enough(read_route_samples([seen], PAIR))


def test_labels_that_are_all_equal_teach_nothing(tmp_path):
    rows = [{"speaker": f"s{index % 6}"} for index in range(100)]
    dear = [{**row, "executed_flops": 10**12} for row in rows]
    run = write_run(tmp_path / "r", {TINY: rows, BASE: dear})
    with pytest.raises(UsageError, match=r"all \d+ utterances have one label.*always 0 word errors.*use a fixed point"):
        train_policy([run], PAIR, tmp_path / "p", candidates=RIDGE)


def test_a_decider_cannot_stand_on_a_guarded_point(tmp_path):
    guarded = OperatingPoint(model="fake:tiny", context="fit", margin_s=1, guard=True)
    rows = [{"speaker": f"s{index % 6}", "substitutions": index % 3} for index in range(100)]
    run = write_run(tmp_path / "r", {guarded: rows, BASE: [{**row, "executed_flops": 10**12} for row in rows]})
    with pytest.raises(UsageError, match=r"cannot have a guard.*guard=false"):
        train_policy([run], [guarded.name, BASE.name], tmp_path / "p", kind="decider")


@pytest.mark.parametrize("share", [-0.1, 0.6, np.nan])
def test_an_impossible_share_to_hold_out(seen, tmp_path, share):
    with pytest.raises(UsageError, match="--hold-out"):
        train_policy([seen], PAIR, tmp_path / "p", hold_out=share)


def test_runs_of_two_languages_do_not_mix(seen, tmp_path):
    rows = [{"speaker": f"s{index % 6}"} for index in range(100)]
    other = write_run(
        tmp_path / "r", {TINY: rows, BASE: [{**row, "executed_flops": 10**12} for row in rows]}, language="de"
    )
    with pytest.raises(UsageError, match="different languages"):
        train_policy([seen, other], PAIR, tmp_path / "p")
