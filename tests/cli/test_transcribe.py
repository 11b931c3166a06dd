"""Many recordings through the command."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import UsageError
from allophone.records.point import OperatingPoint
from allophone.transcription.transcriber import Transcriber
from builders import tone, write_wav

TINY = OperatingPoint(model="fake:tiny")


def allophone(*arguments):
    command = [sys.executable, "-m", "allophone", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    paths = [write_wav(folder / f"{seed}.wav", tone(1.0 + 0.5 * (seed % 3), seed)) for seed in range(6)]
    (folder / "2.wav").write_bytes(b"no audio")
    return paths


@pytest.fixture(scope="module")
def point(tmp_path_factory):
    path = tmp_path_factory.mktemp("point") / "point.json"
    path.write_text(json.dumps({"schema_version": 1, "point": TINY.model_dump()}))
    return path


@pytest.mark.parametrize("layout", [("--jobs", 1), ("--jobs", 3, "--batch-size", 4)])
def test_many_recordings_come_in_order_and_are_summed_up(files, point, layout):
    good = [path for path in files if path.name != "2.wav"]
    said = [transcript.text for transcript in Transcriber(TINY).transcribe_many(good)]
    done = allophone("transcribe", "--point", point, *files, *layout)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"{path}: {text}" for path, text in zip(good, said, strict=True)]
    assert "2.wav" in done.stderr
    assert "5 recordings, 7.0 s of audio in" in done.stderr  # 1 + 1.5 + 1 + 1.5 + 2
    assert "times real time" in done.stderr
    assert "1 of 6 recordings could not be transcribed" in done.stderr


def test_what_is_written_is_passed_over_until_told_otherwise(files, point, tmp_path):
    first = allophone("transcribe", "--point", point, *files[:2], "--out", tmp_path)
    assert first.returncode == 0, first.stderr
    assert "transcribing: 2 of 2" in first.stderr
    (tmp_path / "0.txt").write_text("mine\n")
    second = allophone("transcribe", "--point", point, files[0], files[1], files[3], "--out", tmp_path)
    assert "1 recordings, 1.0 s" in second.stderr
    assert "2 were there already (--overwrite does them again)" in second.stderr
    assert (tmp_path / "0.txt").read_text() == "mine\n"
    assert (tmp_path / "3.txt").read_text().strip()
    third = allophone("transcribe", "--point", point, *files[:2], "--out", tmp_path, "--overwrite")
    assert "2 recordings" in third.stderr
    assert (tmp_path / "0.txt").read_text() != "mine\n"


def test_two_recordings_of_one_name_are_not_written_over_each_other(files, point, tmp_path):
    other = write_wav(tmp_path / "deep" / "0.wav", tone(1.0, 9))
    done = allophone("transcribe", "--point", point, files[0], other, "--out", tmp_path / "texts")
    assert done.returncode == 2
    assert "would both be written to 0.txt" in done.stderr
    assert not (tmp_path / "texts").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_stops_soon_and_keeps_what_is_written(files, point, tmp_path):
    lists = [write_wav(tmp_path / f"{seed}.wav", tone(29.0, seed % 20)) for seed in range(40)]
    command = [sys.executable, "-m", "allophone", "transcribe", "--point", str(point), "--out", str(tmp_path / "texts")]
    with subprocess.Popen([*command, *map(str, lists)], stderr=subprocess.DEVNULL) as running:
        while running.poll() is None and not list((tmp_path / "texts").glob("*.txt")):
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert running.wait(timeout=30) == 130
        assert time.monotonic() - started < 20
    kept = list((tmp_path / "texts").glob("*.txt"))
    assert 0 < len(kept) < 40
    assert all(path.read_text().endswith("\n") for path in kept)


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_of_several_recordings_is_an_object_per_line_in_their_order(files, point):
    done = invoke("transcribe", "--point", point, *files, "--format", "json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["audio"] for line in lines] == [str(path) for path in files]
    assert ["error" in line for line in lines] == [path.name == "2.wav" for path in files]
    assert all(set(line) == {"audio", "error"} or line["text"] for line in lines)
    assert done.exit_code == 1
    alone = json.loads(invoke("transcribe", "--point", point, files[0], "--format", "json").stdout)
    assert {"audio": str(files[0]), **alone}.keys() == lines[0].keys()
    assert alone["text"] == lines[0]["text"]


@pytest.mark.parametrize("style", ["text", "srt", "vtt"])
def test_every_text_of_several_has_its_recording_s_name(files, point, style):
    done = invoke("transcribe", "--point", point, *files, "--format", style)
    good = [path for path in files if path.name != "2.wav"]
    named = [line.partition(":")[0] for line in done.stdout.splitlines() if ".wav:" in line]
    assert named == [str(path) for path in good]
    assert ".wav" not in invoke("transcribe", "--point", point, files[0], "--format", style).stdout


def test_a_folder_is_all_its_recordings_and_each_format_a_file(files, point, tmp_path):
    folder = tmp_path / "inbox"
    (folder / "deep").mkdir(parents=True)
    (folder / "one.wav").write_bytes(files[0].read_bytes())
    (folder / "deep" / "two.wav").write_bytes(files[1].read_bytes())
    (folder / "notes.doc").write_text("no recording")
    done = invoke("transcribe", "--point", point, folder, "--out", tmp_path / "t", "--format", "srt,json")
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (tmp_path / "t").iterdir()} == {"one.srt", "one.json", "two.srt", "two.json"}
    assert json.loads((tmp_path / "t" / "one.json").read_text())["text"]
    assert "notes.doc" in done.stderr
    (tmp_path / "t" / "one.srt").unlink()  # what lacks a format is done again, what has all is not
    again = invoke("transcribe", "--point", point, folder, "--out", tmp_path / "t", "--format", "srt,json")
    assert "1 were there already" in again.stderr
    assert (tmp_path / "t" / "one.srt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--format", "srt,json"), "Give --out FOLDER"),
        (("--format", "srt,doc"), "--format 'doc'"),
    ],
)
def test_formats_that_cannot_be_are_refused(files, point, arguments, message):
    error = invoke("transcribe", "--point", point, files[0], *arguments).exception
    assert isinstance(error, UsageError)
    assert message in str(error)


def test_a_folder_without_recordings_is_refused(point, tmp_path):
    error = invoke("transcribe", "--point", point, tmp_path).exception
    assert isinstance(error, UsageError)
    assert "no recording in this folder" in str(error)


@pytest.mark.parametrize("name", ["字" * 82 + " x.wav", "x" * 247 + ".wav"])
def test_a_name_near_the_limit_is_written_with_the_others(files, point, tmp_path, name):
    long = tmp_path / name
    long.write_bytes(files[0].read_bytes())
    done = invoke("transcribe", "--point", point, long, files[0], files[1], "--out", tmp_path / "t")
    assert done.exit_code == 0, done.stderr
    assert len(list((tmp_path / "t").glob("*.txt"))) == 3


def test_a_text_that_cannot_be_written_does_not_end_the_batch(files, point, tmp_path):
    (tmp_path / "1.txt").mkdir()
    done = invoke("transcribe", "--point", point, *files[:2], files[3], "--out", tmp_path, "--overwrite")
    assert done.exit_code == 1
    assert "1.txt: cannot be written" in done.stderr
    assert "1 of 3 recordings could not be transcribed" in done.stderr
    assert {path.name for path in tmp_path.glob("*.txt") if path.is_file()} == {"0.txt", "3.txt"}


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_keeps_its_place(files, point, tmp_path):
    odd = type(tmp_path)(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    odd.write_bytes(files[0].read_bytes())
    done = allophone("transcribe", "--point", point, odd, files[0])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith(f"{tmp_path}/caf\\udce9.wav: ")
    lines = allophone("transcribe", "--point", point, odd, files[0], "--format", "json").stdout.splitlines()
    assert json.loads(lines[0])["audio"] == str(odd)


def test_a_task_and_a_prompt_on_the_command_line(files, point):
    said = allophone("transcribe", files[0], "--point", point).stdout.strip()
    told = allophone("transcribe", files[0], "--point", point, "--task", "translate", "--prompt", "names")
    assert told.stdout.strip() == said.upper() != said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "sing", "--model", "fake:tiny"], "transcribe or translate"),
        (["--prompt", "x", "--policy", "p"], "policy"),
    ],
)
def test_tasks_that_cannot_be_done_are_refused(files, arguments, said):
    found = CliRunner().invoke(app, ["transcribe", str(files[0]), *arguments])
    assert isinstance(found.exception, UsageError)
    assert said in str(found.exception)
