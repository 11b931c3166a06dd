"""The page of stated probabilities says which hold, and counts as its tables show."""

import json

import pytest

from benchmarks.statements.statements_page import is_met, page, read_families


def row(held, stated=0.9, statement="recommend", cell="12 points, 28 speakers", **others):
    counted = {"standard_error": 0.008, "simulations": 1400}
    return {"statement": statement, "cell": cell, "stated": stated, "held": held, **counted, **others}


@pytest.mark.parametrize(
    ("held", "statement", "met"),
    [
        (0.95, "recommend", True),
        (0.885, "recommend", True),  # 1.5 points below, to the last digit
        (0.8849, "recommend", False),
        (0.9, "certified limits", True),
        (0.8999, "certified limits", False),
    ],
)
def test_a_statement_is_met_up_to_the_allowance_and_a_certified_one_not_below_it(held, statement, met):
    assert is_met(row(held, statement=statement)) is met


def test_the_page_concludes_first_and_shows_every_cell():
    families = {"limits": [row(0.93), row(0.871, cell="48 points")], "frontier": [row(0.95, 0.95, note="With ties.")]}
    shown = page(families)
    title, said, missed, *_ = shown.split("\n\n")
    assert title.startswith("# ")
    assert said == "Of 3 cells, 2 met what is stated. Not met:"
    assert missed == "- recommend: 1 of 2 cells, the least 87.1 % for 90.0 % (48 points)"
    assert "| recommend | 48 points | 90.0 % | 87.1 ± 0.8 % | 1,400 | **no** |" in shown
    assert shown.index("## Limits") < shown.index("## Frontier") < shown.index("With ties.")
    assert shown.count("| yes |") == 2


def test_all_met_is_said_so():
    assert "Of 1 cells, 1 met what is stated: none was missed." in page({"limits": [row(0.93)]})


def test_families_are_read_from_their_files_and_nothing_else_is(tmp_path):
    for name in ("statements_points", "statements_labels", "statements", "routing"):
        record = {"figures": {"rows": [row(0.9, cell=name)]}}
        (tmp_path / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    found = read_families(tmp_path)
    assert {name: rows[0]["cell"] for name, rows in found.items()} == {
        "labels": "statements_labels",
        "points": "statements_points",
    }
