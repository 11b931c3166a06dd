"""What today's commands write has every field of what they wrote before, with the same type; more is fine."""

import json
import shutil

import pytest

from golden.golden_call import call
from golden.golden_shape import file_differences, read_any
from golden.make_golden import CONTEXT, DATA, EMOTION, POLICY, RECOGNITION, fill_transcripts, write_little_whisper


def write(folder, commands):
    for name, command in commands.items():
        done = call(folder, *command)
        assert done.code == 0, f"{name}: {done.stderr}"
        if name.endswith("transcripts.csv"):
            fill_transcripts(folder / name)
    return folder


def differences(folder, *names):
    """Of every golden file of these artefacts; a run still being measured has a point in one file or the other."""
    paths = [DATA / name for name in names]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    assert any(file.is_file() for file in files)
    return [
        line for file in files if file.is_file() for line in file_differences(file, folder / file.relative_to(DATA))
    ]


@pytest.fixture(scope="module")
def recognition(new):
    return write(new, RECOGNITION)


@pytest.fixture(scope="module")
def emotion(new):
    pytest.importorskip("torch")
    shutil.copytree(DATA / "recognisers/long", new / "recognisers/long")  # one training is enough
    return write(new, {name: command for name, command in EMOTION.items() if name != "recognisers/long"})


@pytest.mark.parametrize("name", ["runs/speech", "runs/relative", "point.json"])
def test_recognition(recognition, name):
    assert not differences(recognition, name)


def test_race(recognition):
    """Which points are given up hangs on their times; a point that is has a journal, one that is not a table."""
    assert not differences(recognition, "runs/race/run.json", "runs/race/race.json", "runs/race/twin.jsonl")
    (journal,) = (DATA / "runs/race/measurements").glob("*.jsonl")
    table = next((recognition / "runs/race/measurements").glob("*.parquet"))
    assert set(read_any(journal)[0]) <= set(read_any(table))
    for found in (recognition / "runs/race/measurements").glob("*.jsonl"):
        assert not file_differences(journal, found)


def test_policy(recognition):
    pytest.importorskip("onnx")
    write(recognition, POLICY)
    assert not differences(recognition, "policy")


@pytest.mark.parametrize("name", ["runs/emotion", "emotion-point.json", "recognisers/short", "cascade"])
def test_emotion(emotion, name):
    assert not differences(emotion, name)


def test_context_adaptation(new):
    pytest.importorskip("torch")
    write_little_whisper(new / "encoders/little")
    write(new, CONTEXT)
    assert not differences(new, "adapted")


def test_what_seeds_draw(recognition):
    """The order of a race's utterances, and the utterances that 'label' draws."""
    (journal,) = (DATA / "runs/race/measurements").glob("*.jsonl")
    looked_at = [row["utterance_index"] for row in read_any(journal)]
    for found in (recognition / "runs/race/measurements").glob("*.jsonl"):
        indices = [row["utterance_index"] for row in read_any(found)]
        assert indices[: len(looked_at)] == looked_at[: len(indices)]
    twins = [[row["utterance_index"] for row in read_any(at / "runs/race/twin.jsonl")] for at in (DATA, recognition)]
    assert twins[0] == twins[1]
    drawn = [read_any(at / "runs/relative/transcripts.csv") for at in (DATA, recognition)]
    assert drawn[0] == drawn[1]


def test_what_the_fake_models_hear(recognition):
    """The texts of a run are those of before: audio, spectrogram, windows and normaliser are."""
    from pyarrow.parquet import read_table

    for path in sorted((DATA / "runs/speech/measurements").iterdir()):
        same = ["utterance_id", "reference", "hypothesis", "hits", "substitutions", "executed_flops", "published_flops"]
        tables = [read_table(at, columns=same).to_pylist() for at in (path, recognition / path.relative_to(DATA))]
        assert tables[0] == tables[1], path.name


def test_folds_of_a_seed(emotion):
    for name in ("runs/emotion/split.json", "recognisers/short/split.json"):
        old, found = (json.loads((at / name).read_text(encoding="utf-8"))["splits"] for at in (DATA, emotion))
        assert old == found
