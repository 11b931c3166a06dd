import json

import numpy as np
import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import LedgerError, UsageError
from allophone.records.point import EmotionSetting
from builders import write_wav
from emotion_builders import save_encoder, save_recogniser, write_cascade_run

runner = CliRunner()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "none", "--format", "srt"], "write one of text, json"),
        (["--model", "none"], "'allophone adapt emotion' wrote"),
        ([], "give one of --model (a recogniser) and --policy"),
        (["--model", "none", "--policy", "none"], "give one of --model (a recogniser) and --policy"),
        (["--model", "none", "--threshold", "0.5"], "only a policy has one"),
        (["--policy", "none", "--base", "b"], "a policy has several base models"),
        (["--policy", "none"], "'allophone route emotion"),
        (
            ["--model", "none", "--device", "tpu"],
            "--device 'tpu': emotion recognition runs and trains on cpu, or on cuda",
        ),
    ],
)
def test_mistakes(options, message):
    done = runner.invoke(app, ["classify", "a.wav", *options])
    assert isinstance(done.exception, UsageError)
    assert message in str(done.exception)


def test_a_cascade_from_run_to_answer(tmp_path):
    pytest.importorskip("torch")
    base = save_encoder(tmp_path / "base", "wav2vec2")
    short, long = (EmotionSetting(model=base, duration_s=seconds) for seconds in (0.2, 0.4))
    run = write_cascade_run(tmp_path / "run", short, long)
    models = ",".join(str(save_recogniser(tmp_path / item.name, item)) for item in (short, long))
    policy = str(tmp_path / "policy")
    options = ["--points", f"{short.name},{long.name}", "--models", models, "--out", policy]
    made = runner.invoke(app, ["route", "emotion", str(run), *options])
    assert made.exit_code == 0, made.output
    assert f"allophone classify a.wav --policy {policy}" in made.stdout
    audio = str(write_wav(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(4800)))
    command = ["classify", audio, "--policy", policy, "--format", "json"]
    lazy, thorough = (
        json.loads(runner.invoke(app, [*command, "--threshold", threshold]).stdout) for threshold in ("1", "0")
    )
    assert lazy["ran"] == [short.name]
    assert thorough["ran"] == [short.name, long.name]
    assert thorough["executed_flops"] > 1.5 * lazy["executed_flops"]
    assert set(thorough["posterior"]) == {"high", "low"}
    shown = runner.invoke(app, ["classify", audio, "--policy", policy, "--threshold", "0"]).stdout
    assert shown.rstrip().endswith(f"[{short.name}, then {long.name}]")
    wrong = runner.invoke(app, [*command, "--device", "cuda:99"])
    assert isinstance(wrong.exception, UsageError)
    assert "--device 'cuda:99'" in str(wrong.exception)
    (tmp_path / "policy/1/head.safetensors").unlink()
    spoilt = runner.invoke(app, [*command, "--threshold", "1"])
    assert isinstance(spoilt.exception, LedgerError)
    assert "policy/1/head.safetensors: cannot be read" in str(spoilt.exception)
    assert not spoilt.stdout


def test_a_recogniser_of_another_point_is_refused_before_anything_is_judged(tmp_path):
    pytest.importorskip("torch")
    base = save_encoder(tmp_path / "base", "wav2vec2")
    short, long = (EmotionSetting(model=base, duration_s=seconds) for seconds in (0.2, 0.4))
    run = write_cascade_run(tmp_path / "run", short, long)
    model = save_recogniser(tmp_path / "model", short)
    options = ["--points", f"{short.name},{long.name}", "--models", f"{model},{model}", "--out", str(tmp_path / "p")]
    done = runner.invoke(app, ["route", "emotion", str(run), *options])
    assert isinstance(done.exception, UsageError)
    assert "field 'setting'" in str(done.exception)
    assert "A cascade over" not in done.stdout
