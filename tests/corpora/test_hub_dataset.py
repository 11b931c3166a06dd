import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allophone.audio.decode import load_audio
from allophone.corpora.corpus import open_corpus
from allophone.corpora.hub_dataset import fetch_dataset
from allophone.errors import AudioError, CorpusError, MissingExtraError, UsageError
from builders import write_wav

pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("ALLOPHONE_CACHE", str(folder))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    return folder


@pytest.fixture
def sounds(tmp_path):
    return [write_wav(tmp_path / f"{n}.wav", np.full(1600 * n, 0.1)) for n in (1, 2, 3)]  # 0.1, 0.2 and 0.3 s


@pytest.fixture
def parquet(tmp_path, sounds):
    """A data set as the hub stores most: encoded audio within Parquet."""
    rows = [
        {
            "audio": {"bytes": path.read_bytes(), "path": path.name},
            "sentence": text,
            "client_id": number,
            "id": 7 + number,
        }
        for number, (path, text) in enumerate(zip(sounds, ["one", None, ""], strict=True))
    ]
    folder = tmp_path / "parquet"
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), folder / "test-00000-of-00001.parquet")
    return folder


def test_a_parquet_set_becomes_a_corpus(parquet):
    corpus = open_corpus(f"hf:{parquet}?split=test")
    assert [(u.id, u.text, u.speaker) for u in corpus] == [("7", "one", "0"), ("8", None, "1"), ("9", "", "2")]
    assert [load_audio(u.audio_filepath).size for u in corpus] == [1600, 3200, 4800]
    assert corpus.scan().n_references == 2


def test_encoded_audio_is_kept_as_it_is(parquet, sounds):
    corpus = open_corpus(f"hf:{parquet}?split=test")
    assert [u.audio_filepath.read_bytes() for u in corpus] == [path.read_bytes() for path in sounds]


def test_a_folder_of_recordings_with_metadata(tmp_path, sounds):
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    lines = [json.dumps({"file_name": path.name, "transcription": f"text {path.stem}"}) for path in sounds]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    for path in sounds:
        path.rename(folder / path.name)
    corpus = open_corpus(f"hf:{folder.parent}?split=train")
    assert [(u.id, u.text) for u in corpus] == [("0000000", "text 1"), ("0000001", "text 2"), ("0000002", "text 3")]
    assert [load_audio(u.audio_filepath).size for u in corpus] == [1600, 3200, 4800]


def test_options_choose_columns_and_rows(parquet):
    corpus = open_corpus(f"hf:{parquet}?split=test&text=client_id&speaker=sentence&limit=2")
    assert [(u.text, u.speaker) for u in corpus] == [("0", "one"), ("1", None)]


def test_a_set_once_fetched_is_not_fetched_again(parquet):
    source = f"hf:{parquet}?split=test"
    first = fetch_dataset(source)
    for path in parquet.iterdir():
        path.unlink()
    assert fetch_dataset(source) == first


def test_a_row_without_a_recording_is_kept_and_reported_when_its_turn_comes(parquet, sounds):
    path = next(parquet.iterdir())
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist([*table.to_pylist(), {"audio": None, "id": 10}], schema=table.schema), path)
    utterances = list(open_corpus(f"hf:{parquet}?split=test"))
    assert [u.id for u in utterances] == ["7", "8", "9", "10"]
    with pytest.raises(AudioError, match=r"empty \(0 bytes\)"):
        load_audio(utterances[-1].audio_filepath)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?split=nope", "cannot be loaded: .*nope.*Check its name"),
        ("?split=test&config=nope", "cannot be loaded: .*nope.*Check its name"),
        ("?split=test&text=nope", "no column 'nope'; it has audio, sentence, client_id, id. Add text=COLUMN"),
        ("?split=test&audio=nope", "no column 'nope'; it has audio.*Add audio=COLUMN"),
    ],
)
def test_what_the_set_does_not_have(parquet, cache, query, message):
    with pytest.raises(CorpusError, match=message):
        open_corpus(f"hf:{parquet}{query}")
    assert not list(cache.rglob("manifest*"))


def test_a_set_that_cannot_be_reached():
    with pytest.raises(CorpusError, match=r"hf:nobody/nothing.*cannot be loaded.*Check its name and split"):
        open_corpus("hf:nobody/nothing?split=test")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf:name", "write hf:NAME"),
        ("hf:?split=test", "write hf:NAME"),
        ("hf:name?split=test&spilt=x", "unknown option 'spilt'; known: audio, config, id"),
        ("hf:name?split=test&limit=many", "limit is 'many'. Give a whole number"),
        ("hf:name?split=test&limit=0", "limit is '0'. Give a whole number of utterances, 1 or more"),
    ],
)
def test_sources_that_are_not_one(source, message):
    with pytest.raises(UsageError, match=message):
        open_corpus(source)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)  # what an import of a missing package finds
    with pytest.raises(MissingExtraError, match=r"pip install .*\[datasets\]"):
        open_corpus("hf:name?split=test")


def test_a_cache_that_cannot_be_written(parquet, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ALLOPHONE_CACHE", str(tmp_path / "file"))
    with pytest.raises(CorpusError, match=r"cannot be loaded: .*Not a directory"):
        open_corpus(f"hf:{parquet}?split=test")
