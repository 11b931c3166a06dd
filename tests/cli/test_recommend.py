import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from allophone.cli.recommend import recommend
from allophone.errors import InfeasibleError, SpaceError, UsageError
from allophone.records import OperatingPoint
from builders import write_run

FAST, SLOW = OperatingPoint(model="tiny.en", token_stride=2), OperatingPoint(model="tiny.en")


@pytest.fixture
def run(tmp_path):
    def rows(every, latency):
        return [
            {
                "hits": 10 - (i % every == 0),
                "substitutions": int(i % every == 0),
                "latency_s": latency,
                "speaker": f"s{i}",
            }
            for i in range(60)
        ]

    return write_run(tmp_path / "r", {FAST: rows(2, 0.5), SLOW: rows(6, 1.0)})


def invoke(*arguments):
    app = Typer(pretty_exceptions_enable=False)
    app.command()(recommend)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_confidence_changes_the_answer_and_is_saved(run, tmp_path):
    # 30 of 600 words wrong: 5 % is met as measured, by half of the replicates
    assert json.loads(invoke(run, "--max-wer", "5", "--json").stdout)["point"]["token_stride"] == 2
    done = invoke(run, "--max-wer", "5", "--confidence", "0.9", "--out", tmp_path / "point.json")
    assert done.exit_code == 0, done.output
    assert "It meets all limits with probability 1.000 (0.9 asked)." in done.stdout
    saved = json.loads((tmp_path / "point.json").read_text())
    assert (saved["point"]["token_stride"], saved["confidence"], saved["probability"]) == (1, 0.9, 1.0)


def test_what_cannot_be_met_so_surely_is_an_error(run):
    done = invoke(run, "--max-wer", "5", "--max-rtf", "0.06", "--confidence", "0.9")
    assert isinstance(done.exception, InfeasibleError)
    assert "none with that probability" in str(done.exception)


def test_an_impossible_confidence_is_an_error(run):
    assert isinstance(invoke(run, "--confidence", "2").exception, SpaceError)


def test_a_limit_of_the_other_task_is_refused_by_its_option_s_name(run):
    error = invoke(run, "--min-uar", "50").exception
    assert isinstance(error, UsageError)
    assert str(error).startswith(f"--min-uar is for runs of emotion recognition, and {run} is one of speech")
    assert str(error).endswith("limits of its own: --max-wer, --min-rtfx, --max-memory-gb.")
