import pytest

from allophone.diagnosis.diagnose import diagnose
from allophone.errors import SpaceError
from allophone.records.point import EmotionSetting
from emotion_builders import write_emotion_run

CENTRE = EmotionSetting(model="tiny.en", duration_s=2.0)
LONGER = EmotionSetting(model="tiny.en", duration_s=3.0)
DEEPER = EmotionSetting(model="tiny.en", duration_s=2.0, unfrozen_layers=2)
BIGGER = EmotionSetting(model="base", duration_s=2.0)
N = 80


def wrong(every, **changes):
    return [{"correct": index % every != 0, **changes} for index in range(N)]


@pytest.fixture
def run(tmp_path):
    """Longer audio buys nothing, depth is better for nothing at inference, a bigger encoder is better and dearer."""
    rows = {
        CENTRE: wrong(3),
        LONGER: wrong(3, executed_flops=3_000_000_000),
        DEEPER: wrong(5),
        BIGGER: wrong(7, executed_flops=8_000_000_000),
    }
    return write_emotion_run(tmp_path / "r", rows, units={DEEPER: [{"trainable_params": 4_000_000}]})


def test_axes_are_judged(run):
    found = diagnose(run, margin=0.05)
    status = {axis.axis: axis.status for axis in found.axes}
    assert found.base.name == CENTRE.name
    assert status == {
        "model": "pays",
        "duration_s": "wasted",
        "lora_rank": "not measured",
        "unfrozen_layers": "pays",
    }
    assert found.binding is not None
    assert found.binding.axis == "model"
    assert (found.next_step.kind, found.next_step.axis) == ("free", "unfrozen_layers")
    assert [(answer.topic, answer.verdict) for answer in found.answers] == [
        ("capacity", "yes"),
        ("adaptation", "yes"),
        ("dominated", "yes"),
    ]


def test_depth_has_a_price_in_training(run):
    found = diagnose(run, cost="trainable_params", margin=0.05)
    depth = next(axis for axis in found.axes if axis.axis == "unfrozen_layers")
    assert depth.moves[0].order == "dearer"
    assert depth.moves[0].cost_ratio == pytest.approx(1000)


def test_nothing_trains_more_than_the_deepest(run):
    found = diagnose(run, point=DEEPER.name, margin=0.05)
    assert found.base_source == "asked"
    assert found.answers[1].verdict == "not measured"


def test_mistakes(run):
    with pytest.raises(SpaceError, match="'x' is not in this run"):
        diagnose(run, point="x")
    with pytest.raises(SpaceError, match="unknown cost 'peak_memory_bytes'"):
        diagnose(run, cost="peak_memory_bytes")
    with pytest.raises(SpaceError, match="margin"):
        diagnose(run, margin=0)
