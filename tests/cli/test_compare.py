import json

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import SpaceError, UsageError
from compare_runs import N_UTTERANCES, STRIDE, TINY, utterances, write_timed

WORSE = [int(index % 2 == 0) for index in range(N_UTTERANCES)]


@pytest.fixture
def runs(tmp_path):
    before = write_timed(tmp_path / "before", {TINY: utterances(0), STRIDE: utterances(0)})
    after = write_timed(tmp_path / "after", {TINY: utterances(WORSE), STRIDE: utterances(0)})
    return before, after


def invoke(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def test_a_condition_that_fails_is_exit_code_1(runs):
    done = invoke(*runs, "--fail-if", "wer > +0.3")
    assert done.exit_code == 1, done.output
    assert "FAILED: wer > +0.3 at tiny.en, full context" in done.stdout
    assert invoke(*runs, "--fail-if", "wer > +0.3", "--point", STRIDE.name).exit_code == 0
    assert invoke(*runs).exit_code == 0


def test_all_forms_give_the_same_answer(runs):
    fields = json.loads(invoke(*runs, "--json").stdout)
    assert fields["failed"] is False
    assert invoke(*runs, "--markdown").stdout.startswith("### After against before, 2 points, 60 utterances of 12 ")
    done = invoke(*runs, "--json", "--fail-if", "wer > +0.3")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["conditions"][0]["failed"] == [TINY.title]


def test_two_points_of_one_run(runs):
    done = invoke(runs[1], runs[1], "--point", STRIDE.name, "--point", TINY.name, "--fail-if", "wer > +0.3")
    assert done.exit_code == 1
    assert "→" in done.stdout


def test_what_cannot_be_asked_is_refused(runs):
    assert isinstance(invoke(*runs, "--json", "--markdown").exception, UsageError)
    assert isinstance(invoke(*runs, "--fail-if", "wer >").exception, SpaceError)
    assert isinstance(invoke(*runs, "--confidence", "95").exception, SpaceError)


def test_result_cards_are_compared_with_each_other_and_with_runs(runs, tmp_path):
    assert CliRunner().invoke(app, ["export", str(runs[0]), "--format", "card", "--out", str(tmp_path)]).exit_code == 0
    done = invoke(tmp_path / "card.json", runs[1])
    assert done.exit_code == 0, done.output
    assert "Cards hold totals" in done.stdout
    assert json.loads(invoke(tmp_path / "card.json", tmp_path / "card.json", "--json").stdout)["measures"]
    assert "| point, measure |" in invoke(tmp_path / "card.json", runs[1], "--markdown").stdout
    refused = invoke(tmp_path / "card.json", runs[1], "--fail-if", "wer > +1")
    assert isinstance(refused.exception, UsageError)
