import json
import shutil
import subprocess
import sys
import time
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from allophone.corpora.manifest import read_manifest
from allophone.demo import corpus as demo_corpus
from allophone.demo.corpus import EXPECTED_SHA256, GRADES, SPEAKERS, build_demo_corpus, plan_demo_corpus
from allophone.demo.store import sealed_sha256
from allophone.errors import CorpusError, MissingExtraError

pytest.importorskip("hibari")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo_corpus(tmp_path_factory.mktemp("demo") / "corpus")


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built.parent, tmp_path / "copy"))


def _rows(manifest: Path) -> list[dict]:
    return [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]


def _samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0


def test_the_bytes_are_those_of_every_machine(built):
    # A difference also fails the fixture: DemoCorpusWarning is an error here.
    assert sealed_sha256(built.parent, recipe=EXPECTED_SHA256) == EXPECTED_SHA256


def test_manifest_has_the_promised_utterances(built):
    rows = _rows(built)
    assert len(rows) >= 60
    assert all(set(row) == {"id", "audio_filepath", "duration", "text", "speaker", "grade"} for row in rows)
    assert len({row["id"] for row in rows}) == len({row["text"] for row in rows}) == len(rows)
    assert all(not Path(row["audio_filepath"]).is_absolute() for row in rows)
    assert [u.id for u in read_manifest(built)] == [row["id"] for row in rows]


def test_durations_are_stated_exactly_and_spread(built):
    durations = []
    for row in _rows(built):
        assert row["duration"] == len(_samples(built.parent / row["audio_filepath"])) / 16_000
        durations.append(row["duration"])
    assert min(durations) >= 1.0
    assert max(durations) <= 25.0
    assert sum(2.0 <= d <= 10.0 for d in durations) >= len(durations) // 2
    assert sum(d >= 12.0 for d in durations) >= 8


def test_every_speaker_has_every_grade_equally_often(built):
    rows = _rows(built)
    assert {row["speaker"] for row in rows} == set(SPEAKERS)
    assert {row["grade"] for row in rows} == set(GRADES) == {"easy", "medium", "hard"}
    counts = Counter((row["speaker"], row["grade"]) for row in rows)
    assert len(SPEAKERS) >= 6
    assert len(counts) == len(SPEAKERS) * len(GRADES)
    assert len(set(counts.values())) == 1


def test_grades_get_harder_to_hear(built):
    # Quiet moments over loud ones, in dB: noise and reverberation both fill the pauses.
    floor_db: dict[str, list[float]] = {grade: [] for grade in GRADES}
    for row in _rows(built):
        x = _samples(built.parent / row["audio_filepath"])
        power = np.mean(x[: len(x) // 800 * 800].reshape(-1, 800) ** 2, axis=1) + 1e-12
        quiet, loud = np.percentile(power, [5, 95])
        floor_db[row["grade"]].append(10 * np.log10(quiet / loud))
    medians = {grade: np.median(values) for grade, values in floor_db.items()}
    assert medians["easy"] + 6 < medians["medium"]
    assert medians["medium"] + 3 < medians["hard"]


def test_samples_use_the_range_and_do_not_clip(built):
    for row in _rows(built):
        peak = np.abs(_samples(built.parent / row["audio_filepath"])).max()
        assert 0.05 < peak < 0.99


def test_another_number_of_threads_makes_the_same_bytes(built, monkeypatch):
    monkeypatch.setattr(demo_corpus.os, "cpu_count", lambda: 3)
    plan = plan_demo_corpus()
    monkeypatch.setattr(demo_corpus, "plan_demo_corpus", lambda: plan[:24])
    steps: list[tuple[int, int]] = []
    files = demo_corpus._make(lambda done, of: steps.append((done, of)))
    assert steps == [(i + 1, 48) for i in range(48)]
    compared = 0
    for utterance in plan[:24]:
        if "babble" in GRADES[utterance.grade].noises:  # babble draws on the whole plan
            continue
        name = f"audio/{utterance.id}.wav"
        assert files[name] == (built.parent / name).read_bytes()
        compared += 1
    assert compared >= 8


def test_second_call_does_not_build(built, monkeypatch):
    monkeypatch.setattr(demo_corpus, "_make", lambda progress: pytest.fail("built again"))
    start = time.perf_counter()
    assert build_demo_corpus(built.parent) == built
    assert time.perf_counter() - start < 0.5


def test_default_folder_lies_in_the_cache(built, tmp_path, monkeypatch):
    monkeypatch.setenv("ALLOPHONE_CACHE", str(tmp_path))
    shutil.copytree(built.parent, tmp_path / "demo-corpus")
    monkeypatch.setattr(demo_corpus, "_make", lambda progress: pytest.fail("built again"))
    assert build_demo_corpus() == tmp_path / "demo-corpus" / "manifest.jsonl"


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "manifest", "seal"])
def test_damage_is_noticed_and_repaired(copy, built, monkeypatch, damage):
    whole = {p.relative_to(copy).as_posix(): p.read_bytes() for p in copy.rglob("*") if p.is_file()}
    victim = sorted((copy / "audio").iterdir())[7]
    if damage == "flip":
        data = bytearray(victim.read_bytes())
        data[5000] ^= 1
        victim.write_bytes(data)
    elif damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-100])
    elif damage == "delete":
        victim.unlink()
    elif damage == "manifest":
        (copy / "manifest.jsonl").write_text("")
    else:
        (copy / "fingerprint.json").write_text("{")
    assert sealed_sha256(copy, recipe=EXPECTED_SHA256) is None
    made = {name: data for name, data in whole.items() if name != "fingerprint.json"}
    monkeypatch.setattr(demo_corpus, "_make", lambda progress: made)
    build_demo_corpus(copy)
    assert {p.relative_to(copy).as_posix(): p.read_bytes() for p in copy.rglob("*") if p.is_file()} == whole
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


def test_other_bytes_are_kept_and_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_corpus, "_make", lambda progress: {"manifest.jsonl": b"{}\n"})
    with pytest.warns(demo_corpus.DemoCorpusWarning, match="not comparable"):
        manifest = build_demo_corpus(tmp_path / "c")
    assert manifest.read_bytes() == b"{}\n"
    assert build_demo_corpus(tmp_path / "c") == manifest  # a second warning would be an error


def test_a_build_killed_while_it_computes_leaves_nothing(tmp_path):
    code = "import sys; from allophone.demo.corpus import *; build_demo_corpus(sys.argv[1])"
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "corpus")])
    time.sleep(0.8)
    assert child.poll() is None, "ended before it could be killed"
    child.kill()
    child.wait()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["notes.txt", "manifest.jsonl"])
def test_a_folder_with_other_files_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(CorpusError, match="holds files that are no demo corpus"):
        build_demo_corpus(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_corpus, "_make", lambda progress: pytest.fail("worked in vain"))
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="is a file"):
        build_demo_corpus(tmp_path / "file")
    with pytest.raises(CorpusError, match="cannot be written"):
        build_demo_corpus(tmp_path / "file" / "corpus")


def test_missing_hibari_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hibari", None)
    with pytest.raises(MissingExtraError, match=r"\[demo\]"):
        build_demo_corpus(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
