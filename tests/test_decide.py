import json

import pytest

from allophone.decide import decide, save_decision
from allophone.emotion.recipe import default_recipe
from allophone.frontier.price import Price
from allophone.frontier.run_state import is_busy
from allophone.records.point import EmotionSetting, OperatingPoint
from allophone.records.saved_point import read_point
from builders import write_run
from emotion_builders import write_emotion_run

TINY = OperatingPoint(model="tiny.en")


def test_what_is_saved_is_what_runs(tmp_path):
    run = write_run(tmp_path / "r", {TINY: [{"latency_s": 1.0}]}, language="en")
    saved = decide(run, {"rtf": 0.2})
    save_decision(run, saved, tmp_path / "point.json")
    assert read_point(tmp_path / "point.json") == saved == read_point(run / "decision.json")
    assert saved.point == TINY
    assert saved.measured["rtf"] == 0.1
    assert saved.quality_name == "WER"


def test_what_was_not_measured_is_null(tmp_path):
    run = write_run(tmp_path / "r", {TINY: [{"peak_memory_bytes": None}]})
    save_decision(run, decide(run, {}), tmp_path / "point.json")
    assert json.loads((tmp_path / "point.json").read_text())["measured"]["peak_memory_bytes"] is None


def test_a_relative_run_says_so_in_the_saved_point(tmp_path):
    run = write_run(tmp_path / "r", {TINY: [{}]}, relative_to="base-full-s1-int8-b5")
    saved = decide(run, {})
    assert "relative to base" in saved.quality_name
    assert any("not WER" in line for line in saved.explanation)


def test_the_probability_is_saved_with_the_point(tmp_path):
    rows = [{"speaker": f"s{i}", "latency_s": 1.0 + 0.01 * (i % 3)} for i in range(30)]
    run = write_run(tmp_path / "r", {TINY: rows})
    save_decision(run, decide(run, {"rtf": 0.2}, confidence=0.9), tmp_path / "point.json")
    saved = read_point(tmp_path / "point.json")
    assert saved.confidence == 0.9
    assert saved.probability > 0.999
    assert "met with probability 0.9" in saved.question
    assert decide(run, {"rtf": 0.2}).probability is None


def test_a_point_saved_without_a_probability_is_still_read(tmp_path):
    (tmp_path / "point.json").write_text(json.dumps({"schema_version": 1, "point": TINY.model_dump()}))
    assert read_point(tmp_path / "point.json").probability is None


def test_an_emotion_point_is_trained_as_the_run_trained_it(tmp_path):
    deep = EmotionSetting(model="tiny.en", duration_s=2.0, unfrozen_layers=2)
    recipe = default_recipe(deep).model_dump(exclude={"seed"})
    run = write_emotion_run(
        tmp_path / "r",
        {deep: [{}] * 8},
        recipes={deep.name: {**recipe, "epochs": 1, "encoder_lr": 3e-5, "lora_lr": 0.1}},
        precision="bfloat16",
    )
    assert decide(run, {}).command == (
        "allophone adapt emotion corpus --model tiny.en --duration-s 2 --lora-rank 0 --unfrozen-layers 2 --epochs 1 "
        "--encoder-lr 3e-05 --precision bfloat16 --out models/tiny.en-2s-top2"
    )
    plain = write_emotion_run(tmp_path / "s", {deep: [{}] * 8}, recipes={deep.name: recipe}, precision="auto")
    assert "--epochs" not in decide(plain, {}).command


@pytest.mark.parametrize(
    ("limits", "minimise", "price", "told"),
    [
        ({}, None, None, False),  # errors alone
        ({"executed_gflops": 50.0}, "wer", None, False),
        ({"wer": 0.9}, None, None, True),  # minimises the real-time factor
        ({"latency_p95_s": 2.0}, None, None, True),
        ({}, "latency_p50_s", None, True),
        ({}, None, Price(0.5), True),  # what an hour of audio costs is shown
    ],
)
def test_that_times_are_too_long_is_told_where_the_answer_holds_one(tmp_path, limits, minimise, price, told):
    busy = {"latency_s": 1.0, "cpu_s": 0.2}
    run = write_run(tmp_path / "r", {TINY: [busy] * 5})
    found = decide(run, limits, minimise, price=price)
    assert any(is_busy(line) for line in found.explanation) == told
