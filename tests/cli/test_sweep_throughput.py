import json
import subprocess
import sys

import pytest

from builders import write_tones


def allophone(*arguments):
    command = [sys.executable, "-m", "allophone", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept")
    manifest = write_tones(folder / "c", n=4)
    asked = ["sweep", manifest, "--out", folder / "r", "--models", "fake:tiny", "--axis", "beam_size=1"]
    return asked, folder / "r", allophone(*asked, "--throughput", "--throughput-rounds", 2)


def test_a_sweep_measures_throughput_behind_latency(swept):
    _, run, done = swept
    assert done.returncode == 0, done.stderr
    assert "throughput: 6 of 6" in done.stderr  # two rounds of three points
    assert "Throughput of 3 points on 4 recordings (0.1 min): up to " in done.stdout
    assert f"Next: allophone frontier {run} --cost rtf_throughput" in done.stdout
    fields = json.loads(allophone("frontier", run, "--cost", "rtf_throughput", "--json").stdout)
    assert all(point["rtfx_throughput"] == pytest.approx(1 / point["rtf_throughput"]) for point in fields["points"])


def test_a_least_throughput_can_be_wished_for(swept):
    met = allophone("recommend", swept[1], "--min-rtfx", 0.001)
    assert met.returncode == 0, met.stderr
    assert "real-time factor of many recordings at once at most 1000.0000" in met.stdout
    missed = allophone("recommend", swept[1], "--min-rtfx", 1e9)
    assert missed.returncode == 3
    assert "comes nearest" in missed.stderr
    assert "a limit must be a positive number" in allophone("recommend", swept[1], "--min-rtfx", 0).stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--jobs", 2], 2, "--jobs goes with --throughput"),
        (["--throughput", "--jobs", 2], 1, "throughput.json: throughput was measured with jobs 0, and now it is 2"),
        (["--throughput", "--task", "emotion"], 2, "--throughput is for speech recognition"),
        (["--throughput", "--throughput-rounds", 0], 2, "--throughput-rounds"),
    ],
)
def test_what_makes_no_sense_is_said(swept, options, code, said):
    done = allophone(*swept[0], *options)
    assert (done.returncode, done.stdout.count("Throughput of")) == (code, 0)
    assert said in done.stderr.replace("\n", " ")
