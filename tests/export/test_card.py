import json

import pytest

from allophone.errors import UsageError
from allophone.export.card import Card, card_markdown, make_card, read_card
from allophone.frontier.summarise import summarise_run
from allophone.records.point import EmotionSetting
from emotion_builders import write_emotion_run
from star_runs import BASE, write_star


@pytest.fixture
def summary(tmp_path):
    run = write_star(
        tmp_path / "r",
        {BASE: ([1, 0] * 20, 10)},
        corpus="/home/anna/secret/corpus.jsonl",
        weights={BASE.model: "a" * 64},
    )
    return summarise_run(run)


def test_a_card_holds_totals_and_what_says_if_they_compare(summary):
    card = make_card(summary)
    (point,) = card.points
    assert point.measures["wer"].value == pytest.approx(0.05)
    assert point.measures["wer"].low < 0.05 < point.measures["wer"].high
    assert point.measures["executed_gflops"].low is None  # it never varies
    assert "price_per_audio_hour" not in point.measures  # not measured
    assert (card.n_utterances, card.n_speakers, card.audio_s) == (40, 10, 400)
    assert (card.fingerprint, card.normalizer) == ("f" * 64, "english")
    assert point.weights_sha256 == "a" * 64


def test_no_path_speaker_or_utterance_leaves_the_machine(summary):
    text = make_card(summary).model_dump_json() + card_markdown(make_card(summary))
    assert "corpus.jsonl" in text
    for private in ("/home", "anna", "secret", '"u1"', '"s1"', "red green"):
        assert private not in text


def test_a_card_is_read_back_as_it_was_written(summary, tmp_path):
    path = tmp_path / "card.json"
    path.write_text(make_card(summary).model_dump_json())
    assert read_card(path) == make_card(summary)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("{}", "field 'schema_version' is None"),
        (json.dumps({"schema_version": 1, "task": "asr"}), "field 'created'"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path, text, problem):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UsageError, match=rf"{problem}.*export RUN --format card"):
        read_card(tmp_path / "c.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_card(tmp_path / "none.json")


def test_markdown_names_machine_and_measures(summary):
    text = card_markdown(make_card(summary))
    assert r"| tiny.en, full context | 5.00 \[" in text
    assert "40 utterances" in text
    assert "brackets: 95 % intervals" in text


def test_an_emotion_run_has_a_card(tmp_path):
    setting = EmotionSetting(model="tiny.en", duration_s=1.0)
    card = make_card(summarise_run(write_emotion_run(tmp_path / "r", {setting: [{}] * 8})))
    assert isinstance(card, Card)
    assert card.points[0].measures["uar_loss"].value == 0
    assert "100.0" in card_markdown(card)


def test_a_card_relative_to_a_model_never_says_wer(tmp_path):
    run = write_star(tmp_path / "relative", {BASE: ([1, 0] * 20, 10)}, relative_to=BASE.name)
    text = card_markdown(make_card(summarise_run(run)))
    assert "WER %" not in text
    assert "| diff. % |" in text.replace("\\", "")
