import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import UsageError

runner = CliRunner()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "none", "--format", "srt"], "write one of text, json"),
        (["--model", "none"], "'allophone adapt emotion' wrote"),
    ],
)
def test_mistakes(options, message):
    done = runner.invoke(app, ["classify", "a.wav", *options])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)


def test_the_model_must_be_named():
    assert runner.invoke(app, ["classify", "a.wav"]).exit_code == 2
