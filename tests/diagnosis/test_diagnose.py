from allophone.diagnosis.diagnose import diagnose
from allophone.diagnosis.emotion import EmotionDiagnosis
from allophone.diagnosis.recognition import RecognitionDiagnosis
from allophone.records.point import EmotionSetting
from emotion_builders import write_emotion_run
from star_runs import BASE, write_star


def test_a_run_of_either_task_has_its_own_diagnosis(tmp_path):
    spoken = diagnose(write_star(tmp_path / "a", {BASE: (0, 10.0)}))
    felt = diagnose(write_emotion_run(tmp_path / "e", {EmotionSetting(model="tiny.en"): [{}] * 24}))
    assert isinstance(spoken, RecognitionDiagnosis)
    assert isinstance(felt, EmotionDiagnosis)
    assert (spoken.quality.name, felt.quality.name) == ("wer", "uar_loss")
    assert spoken.faultless
    assert felt.faultless
    assert (len(spoken.answers), len(felt.answers)) == (5, 3)
