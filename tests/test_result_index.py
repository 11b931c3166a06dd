"""Every result is in the index, with what it found, and the sentence follows the figures."""

import json
from pathlib import Path

import pytest
from result_index import index_page

from benchmarks.shared.conclusions import SENTENCES, conclusion

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
NAMES = sorted(path.stem for path in RESULTS.glob("*.json"))


@pytest.mark.parametrize("name", SENTENCES)
def test_every_sentence_is_of_a_result_that_is_there(name):
    figures = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["figures"]
    sentence = conclusion(name, figures)
    assert sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_every_page_begins_with_its_conclusion():
    for path in RESULTS.glob("*.json"):
        page, figures = path.with_suffix(".md"), json.loads(path.read_text(encoding="utf-8"))["figures"]
        if page.exists() and (sentence := conclusion(path.stem, figures)):
            assert page.read_text(encoding="utf-8").splitlines()[2] == f"**{sentence}**", page


def test_every_result_and_page_stands_in_the_index_once():
    page = index_page(RESULTS, ROOT / "benchmarks")
    for name in NAMES:
        assert page.count(f"[{name}.json]({name}.json)") == 1
    for path in RESULTS.glob("*.md"):
        assert path.name == "index.md" or page.count(f"]({path.name})") == 1


def test_a_sentence_follows_the_figures():
    assert conclusion("statements", {"met": 3, "cells": 4}) == "3 of 4 stated probabilities held in simulation."
    rows = [{"held": 0.9, "stated": 0.95}, {"held": 0.94, "stated": 0.95}]
    sentence = (
        "1 of 2 statements held as often as stated, within 1.5 points; the least in 90.0 % instead of 95.0 % of cases."
    )
    assert conclusion("statements_limits", {"rows": rows}) == sentence


def test_a_result_that_nobody_put_into_words_is_listed_all_the_same(tmp_path):
    results, benchmarks = tmp_path / "results", tmp_path / "benchmarks"
    (benchmarks / "speed").mkdir(parents=True)
    (benchmarks / "speed" / "new.py").write_text("")
    results.mkdir()
    (results / "new.json").write_text(json.dumps({"measured": "2026-01-02T03:04:05", "figures": {}}))
    (results / "new.md").write_text("# A new page\n\nText.\n")
    line = "- ([A new page](new.md), `benchmarks/speed/new.py`, [new.json](new.json), 2026-01-02)"
    assert line in index_page(results, benchmarks)
