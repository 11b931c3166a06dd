"""The verbs on an emotion run through their parser, with an encoder of a few thousand weights."""

import json
import re

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import InfeasibleError, LedgerError, SpaceError, UsageError
from builders import write_tones
from emotion_builders import emotion_place

pytest.importorskip("torch")

runner = CliRunner()
AXES = ("--axis", "duration_s=0.2,0.1", "--axis", "lora_rank=0", "--axis", "unfrozen_layers=0,1")
QUICK = (*AXES, "--epochs", "2", "--precision", "float32", "--folds", "2")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with emotion_place(tmp_path_factory.mktemp("cli"), "wav2vec2", n_speakers=6) as folder:
        yield folder


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")


def call(*command):
    return runner.invoke(app, [str(part) for part in command])


def sweep(place, out, *options):
    given = ("sweep", place / "c/manifest.jsonl", "--task", "emotion", "--models", place / "base", "--out", out)
    return call(*given, *options)


@pytest.fixture(scope="module")
def measured(place):
    return sweep(place, place / "r", *QUICK)


def test_a_dry_run_prints_points_and_trains_nothing(place, tmp_path):
    done = sweep(place, tmp_path / "r", *QUICK, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "star: 3 points x 2 folds x 1 seeds = 6 trainings, at most about" in done.stdout
    assert len(re.findall(r"0\.[12] s, (?:frozen|top 1)", done.stdout)) == 3
    assert not (tmp_path / "r").exists()


def test_a_dry_run_says_what_a_run_has_left(place, measured):
    done = sweep(place, place / "r", *QUICK, "--dry-run")
    assert "= 6 trainings, 0 of them left, at most about 0 min" in done.stdout
    more = ("--axis", "duration_s=0.2", "--axis", "lora_rank=0", "--axis", "unfrozen_layers=2", *QUICK[6:])
    done = sweep(place, place / "r", *more, "--extend", "--dry-run")
    assert "4 points x 2 folds x 1 seeds = 8 trainings, 2 of them left" in done.stdout, done.output


def test_a_sweep_then_the_verbs_that_read_it(place, measured):
    assert measured.exit_code == 0, measured.output
    assert "3 points, " in measured.stdout
    assert f"Next: allophone frontier {place / 'r'}" in measured.stdout
    shown = call("frontier", place / "r", "--cost", "training_gflops")
    assert shown.exit_code == 0, shown.output
    assert "UAR %" in shown.stdout
    fields = json.loads(call("frontier", place / "r", "--json").stdout)
    assert (fields["task"], len(fields["points"])) == ("emotion", 3)
    assert "Which operating point has the highest unweighted average recall?" in call("recommend", place / "r").stdout
    told = call("diagnose", place / "r").stdout
    assert "Duration: is there a best one?" in told
    assert json.loads(call("diagnose", place / "r", "--json").stdout)["task"] == "emotion"
    assert call("report", place / "r").exit_code == 0
    assert "What is taken for what" in (place / "r/report.html").read_text(encoding="utf-8")


def test_the_recommended_setting_can_be_trained_by_the_command_printed(place, measured, tmp_path):
    done = call("recommend", place / "r", "--min-uar", "1", "--minimise", "trainable_params", "--out", tmp_path / "p")
    assert done.exit_code == 0, done.output
    command = done.stdout.rpartition("Train it on all speakers but one: ")[2].split()
    assert command[:3] == ["allophone", "adapt", "emotion"]
    command[command.index("--out") + 1] = str(tmp_path / "model")
    trained = call(*command[1:], "--epochs", "1")
    assert trained.exit_code == 0, trained.output
    assert (tmp_path / "model/emotion.json").is_file()
    with_point = call("transcribe", "--point", tmp_path / "p", place / "c/audio/0-high-0.wav")
    assert isinstance(with_point.exception, UsageError)
    assert "a setting of emotion recognition, which does not transcribe" in str(with_point.exception)


@pytest.mark.parametrize(
    ("verb", "kind", "message"),
    [
        (["law", "{run}"], UsageError, "a run of emotion recognition"),
        (["frontier", "{run}", "--cost", "peak_memory_bytes"], SpaceError, "known costs: rtf, latency_p50_s"),
        (["recommend", "{run}", "--max-wer", "5"], UsageError, "--max-wer is for runs of speech recognition"),
        (["recommend", "{run}", "--min-uar", "100"], SpaceError, "--min-uar 100: give percent"),
        (["recommend", "{run}", "--max-gflops", "1e-9"], InfeasibleError, "None: "),
        (["recommend", "{run}", "--policy", "p"], UsageError, "policies route speech recognition"),
    ],
)
def test_what_an_emotion_run_cannot_answer(place, measured, verb, kind, message):
    done = call(*(part.format(run=place / "r") for part in verb))
    assert isinstance(done.exception, kind), done.output
    assert message in str(done.exception)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (["--plan", "joint"], SpaceError, "plan 'joint' is not for emotion recognition"),
        (["--language", "en"], UsageError, "--language is for speech recognition"),
        (["--axis", "beam_size=1"], SpaceError, "unknown axis 'beam_size'"),
        (["--axis", "unfrozen_layers=9"], SpaceError, "the encoder has 3 layers"),
        (["--precision", "int8"], SpaceError, "write float32, bfloat16 or auto"),
        (["--precision", "int8", "--dry-run"], SpaceError, "write float32, bfloat16 or auto"),
        (["--plan", "race", "--cost", "beauty", "--dry-run"], SpaceError, "unknown cost 'beauty'"),
        (["--plan", "race", "--cost", "peak_memory_bytes"], SpaceError, "unknown cost"),
        (["--cost", "rtf"], UsageError, "--cost is what a search judges points by; --plan star measures every cost"),
        (["--device", "auto"], UsageError, "trains on cpu, or on cuda where torch sees a GPU"),
        (["--folds", "7"], UsageError, "7 folds of 6 speakers"),
        (["--split", "gone.json"], None, "gone.json: cannot be read"),
    ],
)
def test_mistakes(place, tmp_path, options, kind, message):
    done = sweep(place, tmp_path / "r", *options)
    assert done.exit_code != 0
    assert kind is None or isinstance(done.exception, kind), done.output
    assert message in str(done.exception)
    assert not (tmp_path / "r/run.json").exists()


def test_options_of_the_other_task(place, tmp_path):
    done = call("sweep", place / "c/manifest.jsonl", "--out", tmp_path / "r", "--folds", "2")
    assert "--folds is for emotion recognition (--task emotion)" in str(done.exception)
    done = call("sweep", place / "c/manifest.jsonl", "--out", tmp_path / "r", "--task", "music")
    assert "--task 'music': write asr or emotion" in str(done.exception)
    done = call("sweep", place / "c/manifest.jsonl", "--out", tmp_path / "r", "--plan", "grid", "--cost", "rtf")
    assert "--plan grid measures every cost. Leave it out." in str(done.exception)


def test_a_folder_holds_runs_of_one_task(place, measured, tmp_path):
    done = call("sweep", write_tones(tmp_path / "t", n=2), "--out", place / "r", "--models", "fake:tiny")
    assert isinstance(done.exception, LedgerError)
    assert "holds a run of task 'emotion', not 'asr'" in str(done.exception)
