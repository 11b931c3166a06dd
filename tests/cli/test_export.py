import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import SpaceError, UsageError
from star_runs import BASE, write_star


@pytest.fixture
def run(tmp_path):
    return write_star(tmp_path / "r", {BASE: (2, 10)})


def invoke(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_files_are_named_and_lie_in_the_run(run):
    done = invoke(run, "--format", "csv", "--cost", "rtf", "--cost", "executed_gflops")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [
        str(run / "export" / name) for name in ("frontier-rtf.csv", "frontier-executed_gflops.csv")
    ]
    assert invoke(run, "--format", "csv").exit_code == 0  # what it wrote does not disturb the run


def test_unknown_formats_and_costs_are_refused(run):
    done = invoke(run, "--format", "xls")
    assert isinstance(done.exception, UsageError)
    assert "csv, parquet, latex, markdown, png, svg" in str(done.exception)
    assert isinstance(invoke(run, "--cost", "money").exception, SpaceError)
