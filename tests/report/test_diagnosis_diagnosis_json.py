import json

import pytest

from allophone.diagnosis.diagnose import diagnose
from allophone.records.point import EmotionSetting
from allophone.report.diagnosis import diagnosis_json
from builders import write_run
from emotion_builders import write_emotion_run
from star_runs import BASE, rows

BIGGER = BASE.model_copy(update={"model": "base"})
SHORT = BASE.model_copy(update={"context": "fit", "margin_s": 1.0})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    looping = rows(2, 4.0)
    for row in looping[:2]:
        row["hypothesis"] += " purple" * 20
        row["insertions"] = 20
    changed = {BASE: rows(2, 10.0), BIGGER: rows(1, 40.0), SHORT: looping}
    return diagnose(write_run(tmp_path_factory.mktemp("star") / "r", changed))


def test_json_holds_the_same_numbers_as_fractions(found):
    fields = json.loads(diagnosis_json(found), parse_constant=pytest.fail)
    assert (fields["task"], fields["base"]["name"]) == ("asr", BASE.name)
    assert fields["base"]["point"]["token_stride"] == 1
    model = fields["axes"][0]
    assert (model["axis"], model["purchase"], model["status"]) == ("model", "capacity", "pays")
    assert model["here"]["per_doubling"]["estimate"] == pytest.approx(-0.05)
    assert model["moves"][0]["change"]["estimate"] == pytest.approx(-0.1)
    assert fields["binding"]["axis"] == "model"
    assert fields["next_step"]["kind"] == "buy"
    assert [item["topic"] for item in fields["answers"]] == [
        "capacity",
        "context",
        "resolution",
        "adaptation",
        "dominated",
    ]
    assert fields["anatomy"][SHORT.name]["errors"]["loop_insertions"] == 40
    assert fields["anatomy"][SHORT.name]["total"] == 120
    assert fields["axes"][4]["here"] is None


def test_what_is_undefined_is_null(tmp_path):
    silent = [{"reference": "", "hypothesis": "you", "hits": 0, "insertions": 1, "speaker": f"s{k}"} for k in range(20)]
    quiet = [{**row, "hypothesis": "", "insertions": 0, "executed_flops": 9} for row in silent]
    found = diagnose(write_run(tmp_path / "r", {BASE: silent, BIGGER: quiet}))
    fields = json.loads(diagnosis_json(found), parse_constant=pytest.fail)
    assert fields["base"]["wer"] is None
    assert fields["axes"][0]["moves"][0]["p_better"] is None


def test_an_emotion_run_has_its_own_answers(tmp_path):
    def wrong(every, flops=2_000_000_000):
        return [{"correct": index % every != 0, "executed_flops": flops} for index in range(80)]

    def at(duration_s, **knobs):
        return EmotionSetting(model="tiny.en", duration_s=duration_s, **knobs)

    measured = {at(2.0): wrong(3), at(3.0): wrong(3, 3_000_000_000), at(1.0): wrong(2, 1_000_000_000)}
    measured |= {at(2.0, unfrozen_layers=1): wrong(5), at(2.0, lora_rank=8): wrong(4)}
    found = diagnose(write_emotion_run(tmp_path / "r", measured), margin=0.05)
    fields = json.loads(diagnosis_json(found), parse_constant=pytest.fail)
    assert (fields["task"], fields["duration"]["verdict"], fields["cost"]) == ("emotion", "plateau", "executed_gflops")
    assert fields["depth_and_rank"][0]["equal_size"]
    assert fields["base"]["uar"] == pytest.approx(1 - 27 / 80, abs=0.01)
    assert "anatomy" not in fields
