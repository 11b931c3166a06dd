"""Public sets from archives as their publishers lay them out, stand-ins, and what is said without a network."""

import io
import json
import tarfile
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest

from allophone.corpora.corpus import open_corpus
from benchmarks import data
from builders import write_wav

SECOND = np.sin(np.arange(16_000) / 20).astype(np.float32) / 2


@pytest.fixture
def wave(tmp_path):
    return write_wav(tmp_path / "one.wav", SECOND).read_bytes()


def archive(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as packed:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))


def rows(manifest):
    return [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]


def test_librispeech_comes_out_of_its_archive(tmp_path, wave):
    # The decoder reads what a file holds, whatever it is called.
    archive(
        tmp_path / "source" / "train-clean-5.tar.gz",
        {
            "LibriSpeech/train-clean-5/19/198/19-198.trans.txt": b"19-198-0001 SECOND ONE\n19-198-0000 FIRST\n",
            "LibriSpeech/train-clean-5/19/198/19-198-0000.flac": wave,
            "LibriSpeech/train-clean-5/19/198/19-198-0001.flac": wave,
        },
    )
    manifest = data.fetch("librispeech-train-clean-5", tmp_path / "sets", tmp_path / "source")
    assert rows(manifest) == [
        {
            "id": f"19-198-000{k}",
            "text": text,
            "speaker": "19",
            "audio_filepath": f"audio/19-198-000{k}.flac",
            "duration": 1.0,
        }
        for k, text in enumerate(("FIRST", "SECOND ONE"))
    ]
    assert [utterance.text for utterance in open_corpus(manifest)] == ["FIRST", "SECOND ONE"]


def test_samples_take_their_utterances_and_no_others(tmp_path, wave, monkeypatch):
    monkeypatch.setattr(data, "wanted_ids", lambda name: ["000030024"])
    tables = {
        "text": b"000030024 KATE LOVES CHINA\n000039999 NOT ASKED\n",
        "utt2spk": b"000030024 0003\n000039999 0003\n",
    }
    files = {f"speechocean762/test/{name}": content for name, content in tables.items()}
    files |= {f"speechocean762/WAVE/SPEAKER0003/{name}.WAV": wave for name in ("000030024", "000039999")}
    archive(tmp_path / "source" / "speechocean762.tar.gz", files)
    (row,) = rows(data.fetch("speechocean762-test", tmp_path / "sets", tmp_path / "source"))
    assert (row["id"], row["text"], row["speaker"]) == ("000030024", "KATE LOVES CHINA", "0003")


def test_an_archive_that_lacks_utterances_is_named_with_them(tmp_path, wave):
    archive(tmp_path / "source" / "test-other.tar.gz", {"LibriSpeech/test-other/1688/1/1688-1.trans.txt": b""})
    with pytest.raises(SystemExit, match=r"librispeech-test-other lacks 50 of its utterances \(1688-"):
        data.fetch("librispeech-test-other", tmp_path / "sets", tmp_path / "source")
    assert not (tmp_path / "sets" / "librispeech-test-other" / "manifest.jsonl").exists()


def test_a_broken_archive_is_refused(tmp_path):
    (tmp_path / "test-other.tar.gz").write_bytes(b"nothing packed")
    with pytest.raises(SystemExit, match=r"test-other\.tar\.gz: cannot be unpacked"):
        data.fetch("librispeech-test-other", tmp_path / "sets", tmp_path)


def test_crema_d_is_read_file_by_file(tmp_path, wave, monkeypatch):
    monkeypatch.setattr(data, "wanted_ids", lambda name: ["1001_IEO_ANG_HI"])
    source = tmp_path / "source" / "AudioWAV" / "1001_IEO_ANG_HI.wav"
    source.parent.mkdir(parents=True)
    source.write_bytes(wave)
    (row,) = rows(data.fetch("crema-d", tmp_path / "sets", tmp_path / "source"))
    assert (row["label"], row["speaker"], row["sentence"], row["intensity"]) == ("anger", "1001", "IEO", "HI")


def test_the_sets_are_those_that_the_results_were_measured_on():
    counts = {"crema-d": 6533, "librispeech-test-other": 50, "speechocean762-train": 834, "speechocean762-test": 252}
    for name, count in counts.items():
        found = data.wanted_ids(name)
        assert (len(found), len(set(found))) == (count, count)
    assert data.wanted_ids("librispeech-train-clean-5") is None  # all of it


def test_without_a_network_the_way_out_is_told(tmp_path, monkeypatch):
    def unreachable(address, timeout):
        raise URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(SystemExit, match=r"test-other\.tar\.gz: cannot be fetched .*--source FOLDER.*synthesise"):
        data.fetch("librispeech-test-other", tmp_path)


def test_real_sets_equal_what_is_fetched(real_speech):
    for name in ("librispeech-test-other", "crema-d", "speechocean762-train", "speechocean762-test"):
        assert sorted(utterance.id for utterance in open_corpus(real_speech / name)) == sorted(data.wanted_ids(name))


def test_stand_ins_have_every_set_and_never_overwrite_a_real_one(tmp_path):
    data.synthesise(tmp_path)
    for name, (n_utterances, n_speakers) in data.STAND_INS.items():
        utterances = list(open_corpus(tmp_path / name))
        assert (len(utterances), len({one.speaker for one in utterances})) == (n_utterances, n_speakers)
    assert len(list((tmp_path / "noise").glob("*.flac"))) == 2
    data.synthesise(tmp_path)  # again is no harm
    (tmp_path / "crema-d" / "STAND-IN").unlink()
    with pytest.raises(SystemExit, match="holds a set that is no stand-in"):
        data.synthesise(tmp_path)
