import json

import pytest
import typer
from typer.testing import CliRunner

from allophone.cli import app
from allophone.cli.quantities import gigabytes, minutes, seconds
from allophone.errors import SpaceError
from allophone.records.point import OperatingPoint
from builders import write_run


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (seconds, "0.3", 0.3),
        (seconds, "300ms", 0.3),
        (seconds, " 300 MS ", 0.3),
        (seconds, "0.3s", 0.3),
        (seconds, "2m", 120),
        (seconds, "2min", 120),
        (seconds, "1.5h", 5400),
        (seconds, "1e-1", 0.1),
        (seconds, 0.25, 0.25),
        (minutes, "30", 1800),
        (minutes, "90s", 90),
        (gigabytes, "1.5", 1.5e9),
        (gigabytes, "1.5GB", 1.5e9),
        (gigabytes, "800mb", 8e8),
        (gigabytes, "2GiB", 2 * 2**30),
        (gigabytes, "300000000B", 3e8),
    ],
)
def test_a_quantity_is_read_in_its_unit(read, text, value):
    assert read(text) == pytest.approx(value, rel=1e-12)
    assert str(read(text)) == str(text).strip()


@pytest.mark.parametrize("text", ["", "fast", "3 parsecs", "1.2.3s", "300 ms ms", "GB"])
def test_what_is_no_quantity_names_the_units(text):
    with pytest.raises(typer.BadParameter, match=r"give a duration such as .*; units: us, ms, s, m, min, h\."):
        seconds(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    point = OperatingPoint(model="tiny.en")
    rows = {point: [{"latency_s": 0.25, "speaker": f"s{index}"} for index in range(30)]}
    return write_run(tmp_path_factory.mktemp("runs") / "r", rows)


def recommend(run, *options):
    return CliRunner().invoke(app, ["recommend", str(run), *options])


def test_old_and_new_spellings_ask_the_same(run):
    asked = [
        json.loads(recommend(run, *options, "--json").stdout)["question"]
        for options in (
            ("--max-latency-p95", "300ms", "--max-memory", "800MB"),
            ("--max-latency-p95-s", "0.3", "--max-memory-gb", "0.8"),
        )
    ]
    assert asked[0] == asked[1]
    assert "at most 0.300 s" in asked[0]
    assert "at most 800 MB" in asked[0]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--max-wer", "-3", "--max-wer -3: a limit must be a positive number. Give percent, such as 12."),
        (
            "--max-wer",
            "1200",
            "--max-wer 1200: above 100 it limits nothing. Give percent, such as 12",
        ),
        ("--max-latency-p95", "-300ms", "--max-latency-p95 -300ms: a limit must be a positive number. Give a duration"),
        ("--max-memory", "0GB", "--max-memory 0GB: a limit must be a positive number. Give a size, such as 1.5GB."),
        ("--max-rtf", "inf", "--max-rtf inf: a limit must be a positive number."),
        ("--min-rtfx", "0", "--min-rtfx 0: a limit must be a positive number."),
    ],
)
def test_an_impossible_limit_is_told_as_typed(run, option, value, message):
    error = recommend(run, option, value).exception
    assert isinstance(error, SpaceError)
    assert message in str(error)


def test_what_is_no_duration_is_a_usage_error(run):
    done = recommend(run, "--max-latency-p95", "soon")
    assert done.exit_code == 2
    assert "'soon': give a duration" in " ".join(done.output.split())


def test_an_impossible_longest_recording_is_refused(run):
    error = CliRunner().invoke(app, ["transcribe", "--model", "tiny.en", "a.wav", "--max-audio", "-2m"]).exception
    assert str(error).startswith("--max-audio -2m: a limit must be a positive number")
