from math import nan

import pytest

from allophone.diagnosis.diagnose import diagnose
from allophone.report.answers import diagnosis_lines
from allophone.report.diagnosis import diagnosis_table
from builders import write_run
from star_runs import BASE, rows, write_star

BIGGER = BASE.model_copy(update={"model": "base"})
SHORT = BASE.model_copy(update={"context": "fit", "margin_s": 1.0})
COARSE = BASE.model_copy(update={"token_stride": 2})
MIXED = [2, 2, 3, 1, 2] * 8


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("star") / "r"
    looping = rows(2, 4.0)
    for row in looping[:2]:
        row["hypothesis"] += " purple" * 20
        row["insertions"] = 20
    changed = {BASE: rows(2, 10.0), BIGGER: rows(1, 40.0), SHORT: looping}
    return diagnose(write_run(folder, changed))


def line(lines, start):
    return next(item for item in lines if item.strip().startswith(start))


def test_the_table_has_a_row_per_axis_with_the_cost_of_every_setting(found):
    table = diagnosis_table(found)
    assert "tiny.en, full context (the centre of the plan): WER 20.0 %" in table.title
    cells = {row[0]: row for row in table.rows}
    assert all(len(row) == len(table.columns) for row in table.rows)
    assert cells["model"][2] == "tiny.en (here) | base (4.00)"
    # 20 % to 10 % over two doublings: 5 points, a quarter of the errors
    assert cells["model"][3] == "-5.0 [-5.0, -5.0] (-25.0 %; 1 pair)"
    assert cells["model"][5] == "pays: base, -10.0 points (p > 0.99)"
    assert cells["context"][2] == "fit +1 s (0.40) | full (here)"
    assert cells["context"][5].endswith("full is as far as it goes")
    assert cells["speed"][3:] == ("-", "-", "not measured")
    assert table.muted == tuple(row[-1] == "not measured" for row in table.rows)
    assert any("Only 10 speakers" in note for note in table.notes)


def test_the_sentences_say_what_binds_and_what_to_do(found):
    lines = diagnosis_lines(found)
    assert line(lines, "Binding").startswith(
        "Binding: model. base: -10.0 points [-10.0, -10.0] at 4.00 times the cost (p > 0.99 that it is better)."
    )
    assert line(lines, "Next") == "Next: buy model: base, full context."
    assert line(lines, "Wasted") == "Wasted: no axis, as far as was measured."
    assert line(lines, "Capacity") == (
        "Capacity: would a bigger model pay? Yes. base: -10.0 points [-10.0, -10.0] at 4.00 times the cost (p > 0.99)."
    )
    assert line(lines, "Context").startswith(
        "Context: does its length cost accuracy or compute? Undecided. fit +1 s: +"
    )
    assert line(lines, "Resolution").endswith("Not measured.")
    assert "Not measured" in line(lines, "Adaptation")
    # The short context is cheaper, and no worse where neither looping speaker is drawn: 0.8^10 = 0.11 of the
    # replicates, of which widening turns those stretched most
    assert "Undecided: p 0.9" in line(lines, "Dominated")
    assert line(lines, "Dominated").endswith("that no point does.")


def test_the_anatomy_tells_a_loop_from_hard_words(found):
    lines = diagnosis_lines(found)
    assert line(lines, "Errors") == "Errors of this point: 80 in 400 words."
    assert line(lines, "wrong words") == "  wrong words: 80 (100 % of its errors) in 40 of 40 utterances"
    assert line(lines, "by signal").endswith("not measured")
    # 40 inserted of 120 errors
    assert line(lines, "With context fit +1 s") == (
        "With context fit +1 s: 120 errors, here 80. They differ most in insertions in loops: 40 (33 % of its errors) "
        "in 2 of 40 utterances; here 0."
    )
    assert line(lines, "With model base").endswith(
        "wrong words: 40 (100 % of its errors) in 40 of 40 utterances; here 80."
    )


@pytest.mark.parametrize(
    ("points", "base", "start", "expected"),
    [
        (
            {BASE: (3, 10.0), COARSE: (2, 9.0)},
            BASE,
            "Next",
            "Next: take tiny.en, full context, stride 2. 2: -10.0",
        ),
        ({BASE: (3, 10.0), COARSE: (2, 9.0)}, BASE, "Dominated", "Yes, by tiny.en, full context, stride 2 (p > 0.99)."),
        ({BASE: (3, 10.0), BIGGER: (2, 40.0)}, BIGGER, "Next", "Next: measure model beyond what this run holds."),
        ({BASE: (3, 10.0), BIGGER: (2, 40.0)}, BIGGER, "Capacity", "Not measured: base is the dearest model"),
        ({BASE: (3, 10.0), BIGGER: (4, 40.0)}, BASE, "Wasted", "Wasted: model (no dearer setting gains 0.5 points)."),
        ({BASE: (3, 10.0), BIGGER: (4, 40.0)}, BASE, "Capacity", "No. base: +10.0 points"),
        ({BASE: (2, 10.0), SHORT: (4, 4.0)}, SHORT, "Context", "Yes, accuracy. full: -20.0 points"),
        ({BASE: (2, 10.0), SHORT: (4, 4.0)}, BASE, "Context", "No. Every cheaper setting makes more errors"),
        ({BASE: (2, 10.0), SHORT: (4, 4.0)}, BASE, "Next", "Next: nothing to buy"),
        ({BASE: (0, 10.0)}, BASE, "Binding", "Binding: nothing. This point makes no error"),
        ({BASE: (0, 10.0)}, BASE, "Errors", "Errors of this point: none."),
        ({BASE: (2, 10.0), COARSE: (MIXED, 10.0)}, BASE, "With", ""),
    ],
)
def test_every_outcome_has_its_sentence(tmp_path, points, base, start, expected):
    lines = diagnosis_lines(diagnose(write_star(tmp_path / "r", points), base.name))
    assert expected in line(lines, start)


def test_a_saving_is_told_with_its_margin(tmp_path):
    found = diagnose(write_star(tmp_path / "r", {BASE: (MIXED, 10.0), SHORT: (MIXED, 4.0)}), margin=0.01)
    lines = diagnosis_lines(found)
    assert (
        line(lines, "Next")
        == "Next: save on context: tiny.en, short context, no tail, no guard is as good at 0.40 times the cost."
    )
    assert line(lines, "Wasted").startswith("Wasted: context (fit +1 s is as good (p 0.98)")
    assert "Yes, compute. fit +1 s: +0.0 points" in line(lines, "Context")
    assert "worse by less than 1 points with p 0.98" in line(lines, "Context")
    assert line(lines, "With context") == "With context fit +1 s: as many errors, 80."


def test_what_is_undefined_is_said_and_null(tmp_path):
    silent = [{"reference": "", "hypothesis": "you", "hits": 0, "insertions": 1, "speaker": f"s{k}"} for k in range(20)]
    quiet = [{**row, "hypothesis": "", "insertions": 0, "executed_flops": 9} for row in silent]
    found = diagnose(write_run(tmp_path / "r", {BASE: silent, BIGGER: quiet}))
    assert "WER undefined" in diagnosis_table(found).title
    assert any("words heard in silence: 20" in item for item in diagnosis_lines(found))


def test_phrases_for_what_has_no_number():
    from allophone.report.diagnosis import percent, probability

    assert (percent(nan), probability(nan)) == ("undefined", "unknown")
    assert (probability(0.0), probability(1.0), probability(0.5)) == ("< 0.01", "> 0.99", "0.50")
