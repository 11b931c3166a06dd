import pytest

from allophone.errors import UsageError
from allophone.frontier.emotion import EmotionRunSummary
from allophone.frontier.recognition import RecognitionRunSummary
from allophone.frontier.summarise import summarise_run
from allophone.records.point import EmotionSetting, OperatingPoint
from builders import write_run
from emotion_builders import write_emotion_run


def test_what_needs_another_task_is_refused_with_what_needs_it(tmp_path):
    spoken = summarise_run(write_run(tmp_path / "a", {OperatingPoint(model="base"): [{}]}))
    felt = summarise_run(write_emotion_run(tmp_path / "e", {EmotionSetting(model="base"): [{}] * 4}))
    assert spoken.of(RecognitionRunSummary, "--policy: routes speech") is spoken
    assert felt.of(EmotionRunSummary, "x") is felt
    with pytest.raises(UsageError, match="--policy: routes speech, and this is a run of emotion recognition"):
        felt.of(RecognitionRunSummary, "--policy: routes speech")


def test_a_run_of_another_task_than_asked_for_is_refused_before_it_is_read(tmp_path):
    write_run(tmp_path / "a", {OperatingPoint(model="base"): [{}]})
    assert summarise_run(tmp_path / "a", RecognitionRunSummary).points[0].wer >= 0
    with pytest.raises(UsageError, match="'task': a run of speech recognition"):
        summarise_run(tmp_path / "a", EmotionRunSummary)
