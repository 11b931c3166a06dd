import json

import pytest

from allophone.compare.changes import compare_pair
from allophone.compare.conditions import read_condition
from allophone.compare.pairing import pair_runs
from allophone.compare.tables import comparison_dict, comparison_markdown, comparison_table
from compare_runs import N_UTTERANCES, TINY, utterances, write_timed


@pytest.fixture
def found(tmp_path):
    worse = [int(index % 2 == 0) for index in range(N_UTTERANCES)]
    before = write_timed(tmp_path / "before", {TINY: utterances(0)})
    after = write_timed(tmp_path / "after", {TINY: utterances(worse, 1.5)})
    return compare_pair(pair_runs(before, after), [read_condition("wer > +0.3"), read_condition("rtf > +90%")])


def test_the_table_holds_what_people_read(found):
    table = comparison_table(found)
    assert table.columns == ("measure", "before", "after", "change", "worse?")
    by_measure = {row[0]: row[1:] for row in table.rows}
    assert by_measure["WER %"][:2] == ("0.00", "5.00")
    assert by_measure["WER %"][2].startswith("+5.00 [+")
    assert by_measure["WER %"][3] == "> 99 % sure"
    assert by_measure["GFLOPs/utt."] == ("40.0", "40.0", "0", "no change")
    assert any(note.startswith("FAILED: wer > +0.3 at tiny.en, full context (p ") for note in table.notes)
    assert "ok: rtf > +90% is not shown (p 1.000)." in table.notes
    assert any("fails in 5 % of comparisons at most" in note for note in table.notes)
    width = [max(len(row[column]) for row in (table.columns, *table.rows)) for column in range(5)]
    assert sum(width) + 2 * 5 <= 80


def test_markdown_escapes_what_would_be_markup(found):
    text = comparison_markdown(found)
    assert "- FAILED: wer > +0.3 at tiny.en, full context" in text
    assert "| tiny.en, full context | WER % | 0.00 | 5.00 |" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {7}


def test_json_holds_base_units_and_no_nan(found):
    fields = comparison_dict(found)
    assert json.loads(json.dumps(fields, allow_nan=False)) == fields
    wer = next(change for change in fields["changes"] if change["measure"] == "wer")
    assert wer["change"] == pytest.approx(0.05)
    assert fields["failed"] is True
    assert fields["false_alarm_rate"] == 0.05
    assert [one["condition"] for one in fields["conditions"]] == ["wer > +0.3", "rtf > +90%"]


def test_a_comparison_relative_to_a_model_never_says_wer(tmp_path):
    runs = [
        write_timed(tmp_path / name, {TINY: utterances(errors)}, relative_to="base-full-s1-int8-b5")
        for name, errors in (("before", 0), ("after", 1))
    ]
    found = compare_pair(pair_runs(*runs))
    rows = {row[0]: row[1:] for row in comparison_table(found).rows}
    assert rows["diff. %"][:2] == ("0.00", "10.00")
    assert "WER" not in comparison_markdown(found)
