import json

import pytest
import typer
from typer.testing import CliRunner

from allophone.cli.diagnose import diagnose
from allophone.errors import SpaceError
from star_runs import BASE, write_star

BIGGER = BASE.model_copy(update={"model": "base"})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_star(tmp_path_factory.mktemp("star") / "r", {BASE: (3, 10.0), BIGGER: (2, 40.0)})


def invoke(*arguments):
    app = typer.Typer()
    app.command()(diagnose)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_diagnosis_is_printed(run):
    done = invoke(run)
    assert done.exit_code == 0, done.output
    assert "Next: buy model: base, full context." in done.output
    assert "points per doubling" in done.output
    assert done.output.count("Not measured") == 3


def test_json_is_all_that_is_printed(run):
    fields = json.loads(invoke(run, "--json", "--point", BIGGER.name, "--cost", "rtf", "--margin", "2").output)
    assert (fields["base"]["name"], fields["base_source"], fields["cost"]) == (BIGGER.name, "asked", "rtf")
    assert fields["margin"] == 0.02


def test_an_unknown_point_is_an_error_that_names_the_known(run):
    done = invoke(run, "--point", "nope")
    assert isinstance(done.exception, SpaceError)
    assert BASE.title in str(done.exception)
