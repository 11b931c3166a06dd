import pytest

from allophone.compare.cards import (
    card_comparison_dict,
    card_comparison_table,
    compare_cards,
    incomparable,
    read_either,
)
from allophone.errors import UsageError
from allophone.export.card import make_card
from allophone.frontier.summarise import summarise_run
from star_runs import BASE, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})


@pytest.fixture
def card(tmp_path):
    return make_card(summarise_run(write_star(tmp_path / "r", {BASE: ([1, 0] * 20, 10), BEAM: (0, 20)})))


def other_machine(card):
    return card.model_copy(update={"machine": card.machine.model_copy(update={"processor": "Other CPU"})})


@pytest.mark.parametrize(
    ("changes", "wer", "rtf", "flops"),
    [
        ({}, None, None, None),
        ({"threads": 4}, None, "other machine", None),
        ({"device": "cuda"}, None, "other machine", None),
        ({"fingerprint": "0" * 64}, *["other utterances"] * 3),
        ({"n_utterances": 39}, *["other utterances"] * 3),
        ({"normalizer": "basic"}, "other normalizer", None, None),
        ({"relative_to": "base"}, "other relative to", None, None),
    ],
)
def test_errors_compare_on_the_same_utterances_and_times_on_the_same_machine(card, changes, wer, rtf, flops):
    other = card.model_copy(update=changes)
    assert [incomparable(card, other, name) for name in ("wer", "rtf", "executed_gflops")] == [wer, rtf, flops]


def test_the_table_shows_differences_only_where_they_mean_something(card):
    found = compare_cards(card, other_machine(card))
    rows = {row[0].strip(): row[1:] for row in card_comparison_table(found).rows}
    assert rows["RTF"][2] == "other machine"
    assert rows["WER %"][2] == "+0.00"
    obstacles = {one["measure"]: one["obstacle"] for one in card_comparison_dict(found)["measures"]}
    assert obstacles["wer"] is None
    assert obstacles["latency_p95_s"] == "other machine"


def test_what_is_better_when_higher_has_the_sign_that_people_expect(card):
    first, *rest = card.points
    worse = first.measures["error_share"].model_copy(update={"value": 0.75})  # it was 0.5
    changed = first.model_copy(update={"measures": {**first.measures, "error_share": worse}})
    found = compare_cards(card, card.model_copy(update={"points": [changed, *rest]}))
    rows = [row for row in card_comparison_table(found).rows if row[0].strip() == "perfect %"]
    assert rows[0][1:] == ("50.0", "25.0", "-25.0")


def test_other_weights_and_points_on_one_card_alone_are_told(card):
    one = card.model_copy(update={"points": [card.points[0].model_copy(update={"weights_sha256": "a"})]})
    other = card.model_copy(
        update={"points": [card.points[0].model_copy(update={"weights_sha256": "b"}), card.points[1]]}
    )
    told = " ".join(compare_cards(one, other).notices)
    assert f"Other weights under the same name: {BASE.title}." in told
    assert "1 points stand on both cards; 1 and 2 on each." in told


def test_cards_of_different_things_are_refused(card):
    with pytest.raises(UsageError, match="field 'task'"):
        compare_cards(card, card.model_copy(update={"task": "emotion"}))
    with pytest.raises(UsageError, match="share no operating point"):
        compare_cards(card, card.model_copy(update={"points": []}))


def test_a_run_folder_is_as_good_as_its_card(card, tmp_path):
    (tmp_path / "card.json").write_text(card.model_dump_json())
    assert read_either(tmp_path / "r") == read_either(tmp_path / "card.json") == card
