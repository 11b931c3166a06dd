import json

import pytest
from typer import Typer
from typer.testing import CliRunner

from allophone.cli.recommend import recommend
from allophone.errors import InfeasibleError, SpaceError, UsageError
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import read_point
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
    assert "Over all speakers like these it meets all limits" in done.stdout
    assert "(0.9 asked)" in done.stdout
    saved = json.loads((tmp_path / "point.json").read_text())
    assert (saved["point"]["token_stride"], saved["confidence"]) == (1, 0.9)
    assert 0.98 < saved["probability"] < 1


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
    assert str(error).endswith(
        "limits of its own: --max-wer, --max-cer, --min-rtfx, --max-memory, --min-perfect-share, --max-p-worse."
    )


@pytest.mark.parametrize("value", ["90", "95", "99.9", "nan", "0", "1", "0.5", "-1", "inf"])
@pytest.mark.parametrize("limit", ["90", "0.001"])
def test_a_confidence_that_is_no_probability_is_refused_before_anything_else(tmp_path, value, limit):
    done = invoke(tmp_path / "no such run", "--max-wer", limit, "--confidence", value)
    assert isinstance(done.exception, SpaceError)
    assert done.exception.exit_code == 2
    assert "must lie between 0.5 and 1" in str(done.exception)
    remedy = f"for {value} % write {float(value) / 100:g}"
    assert (remedy in str(done.exception)) == (value in ("90", "95", "99.9"))


def test_a_question_in_passing_changes_nothing(run, tmp_path):
    before = sorted(path.name for path in run.iterdir())
    for options in ((), ("--max-rtf", "0.06"), ("--json",)):
        assert invoke(run, *options).exit_code == 0
        assert sorted(path.name for path in run.iterdir()) == before
    assert invoke(run, "--max-rtf", "0.06", "--out", tmp_path / "p.json").exit_code == 0
    saved = (run / "decision.json").read_bytes()
    assert saved == (tmp_path / "p.json").read_bytes()
    assert invoke(run, "--max-wer", "3").exit_code == 0
    assert (run / "decision.json").read_bytes() == saved


def test_a_point_that_cannot_be_saved_is_said_behind_the_answer(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = invoke(run, "--out", tmp_path / "file" / "p.json")
    assert "Which operating point" in done.stdout
    assert "cannot be written" in str(done.exception)
    (run / "decision.json").mkdir()  # as a run that may not be written
    done = invoke(run, "--out", tmp_path / "p.json")
    assert done.exit_code == 0
    assert f"It is saved in {tmp_path / 'p.json'} alone" in done.stderr
    assert json.loads((tmp_path / "p.json").read_text())["point"]["model"] == "tiny.en"


def test_a_certified_limit_is_saved_with_the_point_and_checked_on_new_data(run, tmp_path):
    out = tmp_path / "point.json"
    done = invoke(run, "--certify", "wer_clipped<=30", "--confidence", "0.9", "--out", out)
    assert done.exit_code == 0, done.output
    assert "certified to keep wer_clipped<=30 with confidence 0.9?" in done.stdout
    saved = read_point(out)
    assert saved.point == FAST
    (found,) = saved.certificates
    assert (found.rate, found.limit, found.confidence, found.n_speakers) == ("wer_clipped", 0.3, 0.9, 60)
    assert found.fingerprints == ["f" * 64]
    told = invoke(run, "--check", out)
    assert "which cannot test it" in told.stdout


def test_the_true_error_rate_takes_more_speakers_and_says_how_many(run):
    error = invoke(run, "--certify", "wer<=30").exception
    assert isinstance(error, InfeasibleError)
    assert "60 speakers were heard; at the losses measured" in str(error)
    assert "wer_clipped<=30 about" in str(error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--certify", "wer<=12", "--max-wer", "8"], "two limits on the same rate"),
        (["--certify", "wer<=0.12"], 'write "wer<=12"'),
        (["--certify", "wer=12"], "write the name of a rate"),
        (["--certify", "wer<=12", "--confidence", "95"], "between 0.5 and 1"),
        (["--certify", "wer<=12", "--confidence", "0.5"], "between 0.5 and 1"),
        (["--certify", "wer<=12", "--certify", "wer<=10"], "names wer 2 times"),
        (["--certify", "wer<=12", "--policy", "p"], "Leave --policy out"),
        (["--certify", "wer<=12", "--labels", "t.csv"], "Leave one out"),
    ],
)
def test_a_certificate_that_means_nothing_is_a_wrong_request(run, arguments, message):
    error = invoke(run, *arguments).exception
    assert isinstance(error, UsageError)
    assert message in str(error)


def test_a_relative_run_has_no_certificate(tmp_path):
    rows = [{"speaker": f"s{i}", "relative_to": "base"} for i in range(9)]
    error = invoke(write_run(tmp_path / "r", {FAST: rows}, relative_to="base"), "--certify", "wer<=12").exception
    assert isinstance(error, UsageError)
    assert "not against human references" in str(error)
