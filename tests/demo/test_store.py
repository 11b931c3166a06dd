import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from allophone.demo import store as demo_store
from allophone.demo.store import install, sealed_sha256
from allophone.errors import CorpusError

_SLOW_WRITER = """
import sys, time
from pathlib import Path
from allophone.demo.store import install
write = Path.write_bytes
Path.write_bytes = lambda path, data: (time.sleep(0.05), write(path, data))
install(lambda: {f"audio/{i}.wav": b"x" for i in range(200)}, Path(sys.argv[1]), "r")
"""


def test_digest_is_that_of_the_sorted_sha256sum_listing(tmp_path):
    files = {"b": b"two", "a": b"one"}
    listing = f"{sha256(b'one').hexdigest()}  a\n{sha256(b'two').hexdigest()}  b\n"
    assert install(lambda: files, tmp_path / "c", "r") == sha256(listing.encode()).hexdigest()
    assert json.loads((tmp_path / "c" / "fingerprint.json").read_text())["files"] == ["a", "b"]


def test_corpus_of_another_recipe_is_replaced(tmp_path):
    folder = tmp_path / "c"
    install(lambda: {"manifest.jsonl": b"1", "audio/1.wav": b"1"}, folder, "first")
    assert sealed_sha256(folder, "second") is None
    assert install(lambda: {"manifest.jsonl": b"2"}, folder, "second") == sealed_sha256(folder, "second")
    assert not (folder / "audio").exists()


def test_a_build_killed_while_it_writes_leaves_no_half_corpus(tmp_path):
    folder = tmp_path / "corpus"
    child = subprocess.Popen([sys.executable, "-c", _SLOW_WRITER, str(folder)])
    while len(list(tmp_path.glob(".allophone-demo-*/new/audio/*"))) < 10:
        assert child.poll() is None
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert not folder.exists()
    install(lambda: {"manifest.jsonl": b""}, folder, "r")
    assert sealed_sha256(folder, "r") is not None


def test_a_build_that_fails_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def full(new, folder, stage, recipe):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo_store, "_put", full)
    with pytest.raises(CorpusError, match="No space left on device"):
        install(lambda: {"manifest.jsonl": b""}, tmp_path / "c", "r")
    assert list(tmp_path.iterdir()) == []


def test_stage_of_a_killed_writer_is_swept_when_old(tmp_path):
    old, young = tmp_path / ".allophone-demo-old", tmp_path / ".allophone-demo-young"
    old.mkdir()
    young.mkdir()
    os.utime(old, (0, 0))
    install(lambda: {"manifest.jsonl": b""}, tmp_path / "c", "r")
    assert not old.exists()
    assert young.exists()


def test_builds_at_once_end_in_one_whole_corpus(tmp_path):
    files = {f"audio/{i}.wav": bytes([i]) * 1000 for i in range(40)} | {"manifest.jsonl": b"{}\n"}
    folder = tmp_path / "c"
    for _ in range(8):
        with ThreadPoolExecutor(8) as pool:
            digests = set(pool.map(lambda _: install(lambda: files, folder, "r"), range(8)))
        assert digests == {sealed_sha256(folder, "r")}
        assert [p.name for p in tmp_path.iterdir()] == ["c"]
        (folder / "audio" / "3.wav").write_bytes(b"damaged")


def test_a_file_that_appears_while_it_builds_is_left_alone(tmp_path):
    folder = tmp_path / "c"

    def make():
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        return {"manifest.jsonl": b""}

    with pytest.raises(CorpusError, match="holds files that are no demo corpus"):
        install(make, folder, "r")
    assert (folder / "notes.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
