import io
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from allophone.cli import main
from allophone.records.point import OperatingPoint
from builders import tone, write_run, write_tones, write_wav

TINY = OperatingPoint(model="fake:tiny")
SMALL = OperatingPoint(model="fake:small")


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def allophone(*arguments):
    """The command within this process: each start of one of its own takes a second of imports."""
    streams = {
        name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for name in ("stdout", "stderr")
    }
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["allophone", *map(str, arguments)])
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code or 0
    told = {name: stream.buffer.getvalue().decode() for name, stream in streams.items()}
    return Done(code, **told)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A run by the command as a user starts it."""
    folder = tmp_path_factory.mktemp("swept")
    manifest = write_tones(folder / "c", n=4)
    command = ["sweep", manifest, "--models", "fake:tiny,fake:small", "--out", folder / "r"]
    started = [sys.executable, "-m", "allophone", *map(str, command)]
    done = subprocess.run(started, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_sweep_ends_with_a_summary_and_the_next_step(swept):
    folder, done = swept
    assert f"8 points, 32 rows in {folder / 'r'}" in done.stdout
    assert "Next: allophone frontier" in done.stdout
    assert "measuring: 32 of 32" in done.stderr


def test_the_frontier_is_printed_and_comes_as_json(swept):
    folder, _ = swept
    shown = allophone("frontier", folder / "r")
    assert shown.returncode == 0
    assert "verdict" in shown.stdout
    fields = json.loads(allophone("frontier", folder / "r", "--cost", "executed_gflops", "--json").stdout)
    assert fields["costs"] == ["executed_gflops"]
    assert len(fields["points"]) == 8


def test_recommend_saves_a_point_that_transcribe_runs(swept, tmp_path):
    folder, _ = swept
    point = tmp_path / "point.json"
    done = allophone("recommend", folder / "r", "--max-rtf", "10", "--max-wer", "100", "--out", point)
    assert done.returncode == 0, done.stderr
    assert "Which operating point" in done.stdout
    audio = folder / "c/audio/u1.wav"
    text = allophone("transcribe", "--point", point, audio)
    assert text.returncode == 0, text.stderr
    for style, start in (("srt", "1\n00:00:00,000 --> "), ("vtt", "WEBVTT\n\n00:00:00.000 --> ")):
        assert allophone("transcribe", "--point", point, audio, "--format", style).stdout.startswith(start)
    fields = json.loads(allophone("transcribe", "--point", point, audio, "--format", "json").stdout)
    assert fields["text"] == text.stdout.strip()
    assert fields["latency_s"] == pytest.approx(fields["prepare_s"] + fields["encode_s"] + fields["decode_s"])


def test_short_options_are_the_long_ones():
    assert allophone("-V").stdout == allophone("--version").stdout
    assert allophone("frontier", "-h").stdout == allophone("frontier", "--help").stdout


def test_transcribe_passes_over_a_bad_file_and_fails_at_the_end(swept, tmp_path):
    folder, _ = swept
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    point = tmp_path / "point.json"
    point.write_text(json.dumps({"schema_version": 1, "point": TINY.model_dump()}))
    good = folder / "c/audio/u1.wav"
    done = allophone("transcribe", "--point", point, tmp_path / "bad.wav", good, "--out", tmp_path / "texts")
    assert done.returncode == 1
    assert "bad.wav" in done.stderr
    assert "1 of 2 recordings" in done.stderr
    assert (tmp_path / "texts/u1.txt").read_text().strip()


def test_a_report_is_written(swept):
    folder, _ = swept
    done = allophone("report", folder / "r")
    assert done.returncode == 0
    assert (folder / "r/report.html").stat().st_size > 1_000_000  # plotly is inside


def test_a_dry_run_prints_points_and_cost_and_writes_nothing(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    done = allophone("sweep", manifest, "--models", "fake:tiny", "--out", tmp_path / "r", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "4 points x 3 utterances" in done.stdout
    assert "fake.tiny, full context" in done.stdout
    assert not (tmp_path / "r").exists()


def test_bad_recordings_are_reported_counted_and_skipped(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    (tmp_path / "c/audio/u1.wav").write_bytes(b"")
    command = ("sweep", manifest, "--models", "fake:tiny", "--out", tmp_path / "r")
    done = allophone(*command)
    assert done.returncode == 0
    assert "skipped 'u1'" in done.stderr
    assert "1 recordings could not be read" in done.stdout
    strict = allophone("sweep", manifest, "--models", "fake:tiny", "--out", tmp_path / "s", "--strict")
    assert strict.returncode == 1
    assert "the file is empty" in strict.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("sweep", "{none}", "--out", "{tmp}/r"), 2, "no such file or folder"),
        (
            ("sweep", "{corpus}", "--out", "{tmp}/r", "--models", "tinny"),
            2,
            "unknown model 'tinny'; known models: tiny",
        ),
        (("sweep", "{corpus}", "--out", "{tmp}/r", "--models", "./none/"), 2, "no such folder"),
        (("sweep", "{corpus}", "--out", "{tmp}/r", "--axis", "stride=2"), 2, "unknown axis 'stride'"),
        (("sweep", "{corpus}", "--out", "{tmp}/r", "--axis", "token_stride=0"), 2, "axis 'token_stride', value 0"),
        (("sweep", "{corpus}", "--out", "{tmp}/r", "--plan", "walk"), 2, "unknown plan 'walk'"),
        (("sweep", "{corpus}", "--out", "{file}/r", "--models", "fake:tiny"), 1, "cannot be written"),
        (("sweep", "{corpus}"), 2, "--out"),
        (("frontier", "{none}"), 1, "no such run"),
        (("frontier", "{run}", "--cost", "money"), 2, "unknown cost 'money'; known costs: rtf"),
        (("frontier", "{future}"), 1, "'schema_version' is 99"),
        (("recommend", "{run}", "--max-rtf", "0.000001"), 3, "comes nearest"),
        (("recommend", "{run}", "--max-rtf", "-1"), 2, "must be a positive number"),
        (("recommend", "{run}", "--minimise", "beauty"), 2, "unknown objective 'beauty'"),
        (("transcribe", "--point", "{none}", "a.wav"), 2, "cannot be read"),
        (("transcribe", "--point", "{file}", "a.wav"), 2, "not valid JSON"),
        (("transcribe", "--point", "{point}", "a.wav", "--format", "docx"), 2, "text, json, srt, vtt"),
        (("transcribe", "--point", "{point}", "{none}.wav"), 1, "no such file"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_a_mistake_gets_one_message_and_the_right_exit_code(tmp_path, arguments, code, message):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "point.json").write_text(json.dumps({"schema_version": 1, "point": TINY.model_dump()}))
    (tmp_path / "future").mkdir()
    (tmp_path / "future/run.json").write_text(json.dumps({"schema_version": 99}))
    places = {
        "none": tmp_path / "none",
        "tmp": tmp_path,
        "corpus": write_tones(tmp_path / "c", n=1),
        "file": tmp_path / "file",
        "run": write_run(tmp_path / "run", {TINY: [{}], SMALL: [{}]}),
        "future": tmp_path / "future",
        "point": tmp_path / "point.json",
    }
    done = allophone(*(argument.format(**places) for argument in arguments))
    assert done.returncode == code, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_output_folder_of_another_corpus_is_refused(tmp_path):
    first = write_tones(tmp_path / "a", n=1)
    second = write_tones(tmp_path / "b", n=2)
    assert allophone("sweep", first, "--models", "fake:tiny", "--out", tmp_path / "r").returncode == 0
    done = allophone("sweep", second, "--models", "fake:tiny", "--out", tmp_path / "r")
    assert done.returncode == 1
    assert "the corpus changed" in done.stderr


def test_models_lists_names_places_and_dimensions():
    rows = {row["model"]: row for row in json.loads(allophone("models", "--json").stdout)}
    assert rows["tiny.en"]["source"] == "package"
    assert rows["base"]["n_audio_layer"] == 6
    assert rows["large-v3"]["n_mels"] == 128
    assert "package" in allophone("models").stdout


def test_doctor_finds_this_machine_ready():
    done = allophone("doctor")
    assert done.returncode == 0, done.stdout
    assert "Ready." in done.stdout
    assert "int8" in json.loads(allophone("doctor", "--json").stdout)["compute types"]


def test_doctor_tells_of_every_extra_that_can_be_installed():
    told = json.loads(allophone("doctor", "--json").stdout)["extras"]
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    listed = pyproject.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = re.findall(r"^(\w+) = \[", listed, re.MULTILINE)
    assert {part.split(" ")[0] for part in told.split(", ")} == set(extras) - {"dev", "docs"}


def test_a_long_recording_goes_through_the_command(tmp_path):
    point = tmp_path / "point.json"
    point.write_text(json.dumps({"schema_version": 1, "point": TINY.model_dump()}))
    audio = write_wav(tmp_path / "long.wav", tone(75, 3))
    done = allophone("transcribe", "--point", point, audio)
    assert done.returncode == 0, done.stderr


def test_version_and_help_are_there():
    assert allophone("--version").stdout.startswith("allophone ")
    assert "transcribe" in allophone("--help").stdout
    assert allophone().returncode == 2
