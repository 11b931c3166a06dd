"""README's table of results: which policy, which target and which folds stand in it follows from the results alone."""

import json
import shutil
from pathlib import Path

import pytest
from headlines import headline_table

from benchmarks.peers.targets import headline as peer_headline
from benchmarks.routing.figures import headline as routing_headline

ROOT = Path(__file__).parents[1]


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(ROOT / "docs" / "results", folder)
    return folder


def change(results, name, edit):
    path = results / f"{name}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    edit(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def row(results, start):
    (found,) = (line for line in headline_table(results).splitlines() if line.startswith(f"| {start}"))
    return found


CASCADE = "base only where"


def test_the_cascade_shown_is_the_one_that_did_best_on_training_speakers(results):
    assert "unsure: light cascade, which recovered most on unseen training speakers |" in row(results, CASCADE)

    def worse_in_training(record):
        figures = record["figures"]
        figures["policies"]["light cascade"]["training"]["recovered_share"] = 0.01
        figures["headline"] = routing_headline(figures)

    change(results, "routing", worse_in_training)
    assert "unsure: cascade, which recovered most" in row(results, CASCADE)


def test_what_the_report_sets_say_does_not_choose_the_cascade():
    record = json.loads((ROOT / "docs/results/routing.json").read_text(encoding="utf-8"))
    figures = record["figures"]
    for policy in figures["policies"].values():
        for found in policy["evaluation"]["results"]:
            found["at_threshold"]["wer_over_last"] = [-0.9, -0.95, -0.85]
    assert routing_headline(figures)["policy"] == record["figures"]["headline"]["policy"]


def test_the_threshold_was_set_beforehand_and_intervals_say_what_to_reckon_with(results):
    shown = row(results, CASCADE)
    assert "(threshold set beforehand for 62 %)" in shown
    assert "| WER 1.3 lower (at most 0.4 higher) than base alone;" in shown

    def sure(record):
        record["figures"]["headline"]["sets"][0]["wer_over_last"] = {"estimate": -0.02, "low": -0.03, "high": -0.01}

    change(results, "routing", sure)
    assert "| WER 2.0 lower (at least 1.0) than base alone;" in row(results, CASCADE)

    def worse(record):
        record["figures"]["headline"]["sets"][0]["wer_over_last"] = {"estimate": 0.02, "low": -0.03, "high": 0.04}

    change(results, "routing", worse)
    assert "| WER 2.0 higher (at most 4.0 higher) than base alone;" in row(results, CASCADE)


def test_peers_state_lean_settings_the_target_and_the_repeats(results):
    shown = row(results, "tiny.en here, not in faster-whisper")
    assert "lean settings (no timestamps, no fallback)" in shown
    assert "target set beforehand not met: WER not shown to hold" in shown
    assert "one repeat" in shown

    def met(record):
        figures = record["figures"]
        for line in figures["targets"]:
            line |= {"met": True, "sound": True, "fast": True}
        for line in figures["latency"]:
            line["repeats"] = 3
        figures["headline"] = peer_headline(figures)

    change(results, "peers", met)
    assert "; target set beforehand met;" in row(results, "tiny.en here, not in faster-whisper")


def test_the_ratio_to_lean_is_of_the_same_utterances():
    figures = json.loads((ROOT / "docs/results/peers.json").read_text(encoding="utf-8"))["figures"]
    lean = ("faster-whisper lean", "both sets")
    next(line for line in figures["latency"] if (line["system"], line["set"]) == lean)["utterances"] -= 1
    with pytest.raises(ValueError, match="faster-whisper lean has 120 utterances"):
        peer_headline(figures)


def test_long_audio_says_that_its_set_is_for_choosing(results):
    shown = row(results, "60 minutes")
    assert "(librispeech-train-clean-5, the one for choosing)" in shown
    assert "3 speakers, one repeat, no interval" in shown


def test_emotion_settings_of_other_folds_are_left_out(results):
    tiny = "emotion: train layers of tiny.en"
    assert "the top 2 layers" in row(results, tiny)
    assert "all layers" not in row(results, tiny)  # one fold

    def measured_on_all(record):
        for setting in record["figures"]["settings"]:
            setting |= {"folds": 3, "fold_numbers": [0, 1, 2]}

    change(results, "emotion_table", measured_on_all)
    assert "all layers 70.9 %" in row(results, tiny)
