"""Sweeps of emotion recognition that are killed, or stopped by Ctrl-C, go on where they were."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("torch")

from allophone.ledger.readers import connect
from allophone.ledger.trained_units import read_units
from allophone.sweeps.emotion.run import sweep_emotion
from allophone.sweeps.emotion.space import EmotionSpace
from builders import write_wav
from emotion_builders import emotion_place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with emotion_place(tmp_path_factory.mktemp("killed"), "wav2vec2", n_speakers=5) as folder:
        write_wav(folder / "c/audio/4-low-1.wav", np.zeros(4000))
        yield folder


# A job in the background ignores Ctrl-C, and so does what it starts.
STOPPABLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from allophone.__main__ import main
main()
"""


def command(place, out):
    axes = ["--axis", "duration_s=0.2", "--axis", "lora_rank=0", "--axis", "unfrozen_layers=0,1"]
    options = ["--task", "emotion", "--models", place / "base", "--epochs", "12", "--precision", "float32"]
    given = ["sweep", place / "c/manifest.jsonl", "--out", out, "--folds", "2", *options, *axes]
    return [sys.executable, "-m", "allophone", *(str(part) for part in given)]


def go_on(place, out):
    """What the command does, without another start of the interpreter."""
    base = EmotionSpace(model=(str(place / "base"),), duration_s=(0.2,), lora_rank=(0,), unfrozen_layers=(0, 1))
    return sweep_emotion(place / "c/manifest.jsonl", out=out, space=base, folds=2, epochs=12, precision="float32")


def rows_of(out):
    with connect(out) as connection:
        return connection.execute(
            "SELECT point, utterance_id, speaker, fold, seed, posterior FROM measurements ORDER BY 1, 5, 2"
        ).fetchall()


def written(out):
    files = [*out.glob("work/*/checkpoint.pt"), *out.glob("units.jsonl"), *out.glob("measurements/*")]
    return len(files) + sum(path.read_bytes().count(b"\n") for path in files if path.suffix == ".jsonl")


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_and_doubles_nothing(place, tmp_path):
    out = tmp_path / "r"
    kept = 0
    for kill in range(3):
        process = subprocess.Popen(command(place, out), stderr=subprocess.PIPE, text=True)
        before = written(out)
        deadline = time.monotonic() + 90
        while written(out) <= before + 2 * kill:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "nothing was trained in time"
            time.sleep(0.003)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        process.stderr.close()
        if list(out.glob("measurements/*")):
            rows = rows_of(out)
            assert len({row[:2] for row in rows}) == len(rows) >= kept
            kept = len(rows)
    assert len(read_units(out)) < 4
    go_on(place, out)
    go_on(place, tmp_path / "s")
    assert [row[:5] for row in rows_of(out)] == [row[:5] for row in rows_of(tmp_path / "s")]
    for ours, theirs in zip(rows_of(out), rows_of(tmp_path / "s"), strict=True):
        np.testing.assert_allclose(ours[5], theirs[5], atol=1e-6)
    assert len(read_units(out)) == 4
    assert not list((out / "work").iterdir())


def test_ctrl_c_stops_cleanly_and_the_same_command_continues(place, tmp_path):
    out = tmp_path / "r"
    start = [sys.executable, "-c", STOPPABLE, *command(place, out)[3:]]
    process = subprocess.Popen(start, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not list(out.glob("work/*/checkpoint.pt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The same command continues" in errors
    assert "Traceback" not in errors
    assert go_on(place, out).rows == 2 * len({row[1] for row in rows_of(out)})
