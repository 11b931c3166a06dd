from allophone.diagnosis.axes import AXES, EMOTION_AXES, arm_pairs
from allophone.records.point import EmotionSetting, OperatingPoint


def test_the_axes_of_a_task_set_every_field_of_its_points_once():
    for axes, point in ((AXES, OperatingPoint), (EMOTION_AXES, EmotionSetting)):
        fields = [field for axis in axes for field in axis.fields]
        assert sorted(fields) == sorted(point.model_fields)


def test_settings_that_differ_in_one_axis_are_an_arm():
    points = [
        EmotionSetting(model="base"),
        EmotionSetting(model="base", duration_s=1),
        EmotionSetting(model="base", lora_rank=8),
        EmotionSetting(model="base", duration_s=1, unfrozen_layers="all"),
    ]
    pairs = {axis.name: arm_pairs(axis, points) for axis in EMOTION_AXES}
    assert pairs == {"model": [], "duration_s": [(0, 1)], "lora_rank": [(0, 2)], "unfrozen_layers": [(1, 3)]}
    depth = EMOTION_AXES[-1]
    assert [depth.show(point) for point in points] == ["0", "0", "0", "all"]
    assert [depth.at_limit(point) for point in points] == [False, False, False, True]
