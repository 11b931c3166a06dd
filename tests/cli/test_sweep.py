"""``sweep`` of speech recognition through its parser, with engines that compute nothing."""

import re

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import UsageError
from builders import write_tones

STRIDE = ("--axis", "context=full", "--axis", "beam_size=1", "--axis")


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("c"), n=2)


def sweep(corpus, out, *options):
    given = ("sweep", corpus, "--models", "fake:tiny", "--out", out, *STRIDE, *options)
    return CliRunner().invoke(app, [str(part) for part in given])


def test_an_extension_is_planned_with_the_points_that_the_run_has(corpus, tmp_path):
    assert sweep(corpus, tmp_path / "r", "token_stride=1,2").exit_code == 0
    alone = sweep(corpus, tmp_path / "r", "token_stride=4", "--dry-run")
    assert "star: 1 points x 2 utterances" in alone.stdout
    added = sweep(corpus, tmp_path / "r", "token_stride=4", "--dry-run", "--extend")
    assert "star: 3 points x 2 utterances" in added.stdout
    assert re.findall(r"-s(\d)-", added.stdout) == ["1", "2", "4"]
    done = sweep(corpus, tmp_path / "r", "token_stride=4", "--extend")
    assert "3 points, 6 rows in" in done.stdout


@pytest.mark.parametrize("plan", ["star", "grid", "isoflop"])
def test_a_cost_that_no_search_judges_by_is_refused(corpus, tmp_path, plan):
    done = sweep(corpus, tmp_path / "r", "token_stride=1", "--plan", plan, "--cost", "executed_gflops")
    assert isinstance(done.exception, UsageError)
    assert f"--cost is what a search judges points by; --plan {plan} measures every cost" in str(done.exception)
    assert not (tmp_path / "r").exists()
