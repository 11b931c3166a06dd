"""The verb through its parser, on a model of a few thousand weights."""

import json

import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.emotion import training as emotion_train
from allophone.errors import CorpusError, MissingExtraError, SpaceError, UsageError
from allophone.records.point import EmotionSetting
from emotion_builders import emotion_place, save_recogniser, write_emotions

pytest.importorskip("torch")

runner = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with emotion_place(tmp_path_factory.mktemp("cli"), "wav2vec2", n_speakers=5) as folder:
        yield folder


def adapt(place, out, *options):
    command = ["adapt", "emotion", place / "c/manifest.jsonl", "--model", place / "base", "--duration-s", "0.3"]
    return runner.invoke(app, [str(part) for part in (*command, "--out", out, *options)])


DEEP = ["--lora-rank", 2, "--unfrozen-layers", 1, "--epochs", 3, "--head-lr", 0.01, "--precision", "float32"]


@pytest.fixture(scope="module")
def trained(place):
    return adapt(place, place / "m", *DEEP, "--merged", place / "merged")


def test_a_training_reports_rates_costs_and_times(place, trained):
    assert trained.exit_code == 0, trained.output
    for part in ("UAR", "WA", "macro-F1", "recall: high", "temperature", "GFLOPs an inference", "trainable parameters"):
        assert part in trained.output
    assert "epoch 3: loss" in trained.output
    assert f"allophone classify --model {place / 'm'}" in trained.output
    summary = json.loads((place / "m/summary.json").read_text())
    assert summary["n_speakers"] == 1
    assert (place / "m/split.json").is_file()
    assert (place / "merged/config.json").is_file()


def test_the_same_command_is_done_at_once(place, trained):
    again = adapt(place, place / "m", *DEEP, "--merged", place / "merged", "--json")
    assert again.exit_code == 0, again.output
    assert "epoch" not in again.stderr
    fields = json.loads(again.stdout)
    assert fields["record"]["setting"]["lora_rank"] == 2
    assert fields["summary"]["labels"] == ["high", "low"]


def test_a_saved_model_classifies(place, trained):
    recordings = [str(place / f"c/audio/0-{label}-0.wav") for label in ("high", "low")]
    done = runner.invoke(app, ["classify", "--model", str(place / "m"), *recordings])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith(f"{recordings[0]}: ")
    lines = runner.invoke(app, ["classify", "--model", str(place / "m"), "--format", "json", *recordings]).stdout
    for line, recording in zip(lines.splitlines(), recordings, strict=True):
        fields = json.loads(line)
        assert fields["audio"] == recording
        assert fields["confidence"] == max(fields["posterior"].values())
        assert fields["posterior"][fields["label"]] == fields["confidence"]


def test_a_bad_recording_is_passed_over(place, trained, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    good = place / "c/audio/0-high-0.wav"
    done = runner.invoke(app, ["classify", "--model", str(place / "m"), str(tmp_path / "bad.wav"), str(good)])
    assert done.exit_code == 1
    assert "bad.wav" in done.stderr
    assert "1 of 2 recordings could not be classified" in done.stderr
    assert str(good) in done.stdout


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (["--precision", "int8"], UsageError, "write float32, bfloat16 or auto"),
        (["--duration-s", "99"], UsageError, "--duration-s 99.0"),
        (["--unfrozen-layers", "half"], UsageError, "--unfrozen-layers half"),
        (["--head-lr", "-1"], UsageError, "--head-lr -1.0"),
        (["--unfrozen-layers", "9"], SpaceError, "--unfrozen-layers 9; the encoder has 3 layers"),
        (["--lora-rank", "17"], SpaceError, "--lora-rank 17; it goes from 0 (none) to the encoder's width, 16"),
        (["--fold", "fold-9"], UsageError, "m/split.json has fold-0, fold-1"),
        (["--folds", "6"], UsageError, "6 folds of 5 speakers"),
        (["--device", "tpu"], UsageError, "--device 'tpu'"),
        (["--device", "cuda:99"], UsageError, "--device 'cuda:99'"),
    ],
)
def test_mistakes(place, tmp_path, options, kind, message):
    done = adapt(place, tmp_path / "m", *options)
    assert isinstance(done.exception, kind), done.output
    assert message in str(done.exception)


def test_other_folders_are_not_trained_into(place, trained, tmp_path):
    other = save_recogniser(tmp_path / "other", EmotionSetting(model=str(place / "base"), duration_s=0.3), seed=1)
    kept = {path: path.read_bytes() for path in other.iterdir()}
    for folder, options, message in (
        ("m", ["--merged", other], "--merged"),
        ("m", ["--merged", tmp_path / "m"], "the folder of the recogniser itself"),
        ("m", ["--merged", place / "merged"], "holds another model"),
        ("other", [], "holds a model (emotion.json)"),
    ):
        done = adapt(place, tmp_path / folder, *options)
        assert isinstance(done.exception, UsageError)
        assert message in str(done.exception)
    for name in ("run.json", "emotion_policy.json"):
        (tmp_path / name).write_text("kept")
        assert f"({name})" in str(adapt(place, tmp_path).exception)
        (tmp_path / name).unlink()
    assert {path: path.read_bytes() for path in other.iterdir()} == kept
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_training_that_breaks_keeps_its_last_good_epoch_and_fails(place, tmp_path, monkeypatch):
    monkeypatch.setattr(emotion_train, "rate_factor", lambda step, *_: 1.0 if step < 2 else 1e38)
    options = ["--unfrozen-layers", "1", "--batch-size", "16", "--precision", "float32"]  # one step an epoch
    done = adapt(place, tmp_path / "m", *options)
    assert done.exit_code == 1
    assert "(epoch 4); epoch" in done.stderr or "after epoch 3" in done.stderr
    assert "is kept, and saved" in done.stderr
    assert json.loads((tmp_path / "m/record.json").read_text())["failed"]
    recording = str(place / "c/audio/0-high-0.wav")
    assert runner.invoke(app, ["classify", "--model", str(tmp_path / "m"), recording]).exit_code == 0


def test_named_speakers_are_the_test(place, tmp_path):
    options = ["--test-speakers", "s1, s3", "--epochs", "1"]
    done = adapt(place, tmp_path / "m", *options, "--json")
    assert done.exit_code == 0, done.output
    fields = json.loads(done.stdout)
    assert (fields["record"]["split"], fields["summary"]["n_speakers"], fields["record"]["n_test"]) == ("fixed", 2, 8)
    other = adapt(place, tmp_path / "m", "--test-speakers", "s2")
    assert "tests other speakers than --test-speakers" in str(other.exception)


def test_a_corpus_of_one_label(place, tmp_path):
    manifest = write_emotions(tmp_path / "c", labels=("low",))
    done = runner.invoke(app, ["adapt", "emotion", str(manifest), "--out", str(tmp_path / "m")])
    assert isinstance(done.exception, CorpusError)
    assert "the only label is 'low'" in str(done.exception)


def test_without_the_extra(place, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    done = adapt(place, tmp_path / "m")
    assert isinstance(done.exception, MissingExtraError)
    assert "[torch]" in str(done.exception)
