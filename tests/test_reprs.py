"""What a notebook shows of public records: one short line each, and the name of what it is about."""

from pathlib import Path

import pytest

import allophone
from allophone.emotion.classifier import classify
from allophone.errors import UsageError
from allophone.frontier.summarise import summarise_run
from allophone.records.point import OperatingPoint
from builders import tone, write_run

LONG = OperatingPoint(model="base", context="fit", tail="every-4", window_s=15, token_stride=2, beam_size=5)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    rows = [{"hits": 9, "substitutions": 1, "speaker": f"s{index % 10}"} for index in range(30)]
    points = {OperatingPoint(model="tiny.en"): rows, LONG: rows}
    return write_run(tmp_path_factory.mktemp("runs") / "r", points, corpus="a/very/long/path" * 9)


def test_records_are_shown_in_a_short_line(run):
    frontier = allophone.Frontier.from_run(run)
    transcript = allophone.load_point(OperatingPoint(model="fake:tiny")).transcribe(tone(20, 1))
    shown = {
        "FrontierPoint": frontier.points[0],
        "Recommendation": allophone.recommend(run),
        "RecognitionRunSummary": summarise_run(run),
        "Transcript": transcript,
        "Segment": transcript.segments[0],
    }
    for name, record in {**shown, "Frontier": frontier}.items():
        line = repr(record)
        assert line.startswith(f"{name}(")
        assert "\n" not in line
        assert len(line) <= 120
    assert "2 points, 30 utterances" in repr(shown["RecognitionRunSummary"])
    assert repr(transcript.text[:30])[:-1] in repr(transcript)
    assert "against rtf, " in repr(frontier)


def test_a_law_and_a_cost_are_asked_for_at_the_top(run):
    with pytest.raises(allophone.AllophoneError, match="measured points"):
        allophone.fit_law(str(run))
    assert allophone.cost("base").flops_total > allophone.cost("base", context="fit", audio_s=10).flops_total
    assert allophone.cost("base", lora_rank=8).flops_total < allophone.cost("base").flops_total
    with pytest.raises(UsageError, match="beam_width: no such knob in speech recognition with base; it has: audio_s"):
        allophone.cost("base", beam_width=5)


def test_recognisers_are_named_by_strings(tmp_path):
    with pytest.raises(allophone.AllophoneError, match=str(tmp_path)):
        classify(str(tmp_path / "a.wav"), str(tmp_path / "none"))


def test_a_recogniser_is_trained_and_runs_from_strings(tmp_path):
    pytest.importorskip("torch")
    from emotion_builders import emotion_place

    with emotion_place(tmp_path, "whisper", n_speakers=5) as place:
        trained = allophone.train_emotion(
            str(place / "c/manifest.jsonl"),
            str(place / "m"),
            model=str(place / "base"),
            duration_s=0.3,
            recipe={"epochs": 2},
            precision="float32",
        )
        assert trained.record.recipe.epochs == 2
        heard = allophone.classify(str(place / "c/audio/0-high-0.wav"), str(place / "m"))
    assert heard.label in ("high", "low")
    assert (place / "m/split.json").is_file()
