import os
import subprocess
import sys

import pytest

from builders import write_tones


def allophone(*arguments, **env):
    command = [sys.executable, "-m", "allophone", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **env})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_tones(tmp_path_factory.mktemp("corpus"), n=2)


@pytest.mark.parametrize("place", ["before", "behind"])
def test_quiet_prints_results_alone(corpus, tmp_path, place):
    command = ["sweep", corpus, "--models", "fake:tiny", "--axis", "token_stride=1", "--out", tmp_path / "r"]
    done = allophone("--quiet", *command) if place == "before" else allophone(*command, "-q")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "rows in" in done.stdout
    assert "Next:" not in done.stdout
    usual = allophone(*command)
    assert "Next:" in usual.stdout


def test_quiet_still_tells_of_errors(tmp_path):
    done = allophone("-q", "frontier", tmp_path / "none")
    assert done.returncode == 1
    assert "no such run" in done.stderr
    assert "Traceback" not in done.stderr


def test_verbose_says_where_an_error_arose(tmp_path):
    for command in (("-v", "frontier", tmp_path), ("frontier", tmp_path, "--verbose")):
        done = allophone(*command)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("allophone: ")


def test_bash_completes_verbs_and_options():
    def completed(words):
        told = {"_ALLOPHONE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        command = [sys.executable, "-c", "from allophone.cli import app; app(prog_name='allophone')"]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **told}
        ).stdout.split()

    assert completed("allophone fron") == ["frontier"]
    assert completed("allophone frontier --wi") == ["--wide"]
    assert completed("allophone route ca") == ["calibrate"]


def test_the_completion_script_is_shown_and_is_bash():
    script = allophone("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1").stdout
    assert "complete_bash" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
