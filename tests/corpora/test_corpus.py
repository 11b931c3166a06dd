import json
import shutil
import subprocess
import sys

import pytest

from allophone.corpora.corpus import open_corpus
from allophone.errors import CorpusError, UsageError

ROWS = [
    {"id": "a", "audio_filepath": "a.wav", "duration": 1.5, "text": "one", "speaker": "s"},
    {"id": "b", "audio_filepath": "b.wav", "duration": 2.0, "text": "", "speaker": "t"},
    {"id": "c", "audio_filepath": "c.wav", "duration": 0.5, "speaker": "s"},
]


def write(folder, rows=ROWS):
    folder.mkdir(exist_ok=True)
    for row in rows:
        (folder / row["audio_filepath"]).write_bytes(bytes(100))
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def fingerprint(path):
    return open_corpus(path).scan().fingerprint


def test_a_scan_counts(tmp_path):
    path = write(tmp_path)
    summary = open_corpus(str(path)).scan()
    assert summary.source == str(path)
    assert (summary.n_utterances, summary.n_references, summary.n_speakers) == (3, 2, 2)
    assert summary.duration_s == 4.0  # 1.5 + 2.0 + 0.5


def test_one_unstated_duration_leaves_the_sum_open(tmp_path):
    path = write(tmp_path, [ROWS[0], {"audio_filepath": "b.wav"}])
    assert open_corpus(path).scan().duration_s is None


def test_a_corpus_can_be_read_again(tmp_path):
    corpus = open_corpus(write(tmp_path))
    assert list(corpus) == list(corpus) != []


def test_a_folder_stands_for_its_manifest(tmp_path):
    path = write(tmp_path)
    assert list(open_corpus(tmp_path)) == list(open_corpus(path))


def test_a_folder_without_a_manifest_is_read_itself(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"")
    assert [utterance.id for utterance in open_corpus(tmp_path)] == ["x"]


@pytest.mark.parametrize(
    "change",
    [
        {"text": "two"},
        {"text": ""},
        {"text": None},
        {"speaker": "u"},
        {"label": "joy"},
        {"id": "z"},
        {"offset": 0.5},
        {"offset": 0.0},
        {"offset": 0.5, "duration": 1.0},
    ],
)
def test_the_fingerprint_follows_the_contents(tmp_path, change):
    before = fingerprint(write(tmp_path))
    assert fingerprint(write(tmp_path, [{**ROWS[0], **change}, *ROWS[1:]])) != before


def test_no_words_and_no_transcript_differ(tmp_path):
    none, empty = ({**ROWS[0], "text": text} for text in (None, ""))
    assert fingerprint(write(tmp_path, [none])) != fingerprint(write(tmp_path, [empty]))


def test_the_fingerprint_follows_order_and_number(tmp_path):
    found = {fingerprint(write(tmp_path, rows)) for rows in (ROWS, ROWS[::-1], ROWS[:2])}
    assert len(found) == 3


def test_the_fingerprint_follows_the_size_of_a_recording(tmp_path):
    path = write(tmp_path)
    before = fingerprint(path)
    (tmp_path / "b.wav").write_bytes(bytes(101))
    longer = fingerprint(path)
    (tmp_path / "b.wav").unlink()
    assert len({before, longer, fingerprint(path)}) == 3


def test_the_fingerprint_does_not_follow_the_place(tmp_path):
    before = fingerprint(write(tmp_path / "here"))
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert fingerprint(tmp_path / "there") == before


def test_an_id_that_occurs_twice(tmp_path):
    path = write(tmp_path, [*ROWS, {"id": "b", "audio_filepath": "d.wav"}])
    with pytest.raises(CorpusError, match=r"id 'b' occurs twice. Give every utterance an id"):
        open_corpus(path).scan()


def test_parts_of_one_recording_need_no_ids(tmp_path):
    parts = [{"audio_filepath": "a.wav", "offset": 2.5 * n, "duration": 2.5, "text": "x"} for n in range(40)]
    path = write(tmp_path, parts)
    assert [utterance.id for utterance in open_corpus(path)][:3] == ["a", "a-2.5-5", "a-5-7.5"]
    assert open_corpus(path).scan().n_utterances == 40


def test_the_length_of_a_whole_recording_is_not_in_the_fingerprint(tmp_path):
    before = fingerprint(write(tmp_path))  # runs of before there were parts continue
    assert before == fingerprint(write(tmp_path, [{**ROWS[0], "duration": 9.0}, *ROWS[1:]]))


def test_a_scan_tells_what_is_passed_over(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "b.pdf").touch()
    assert open_corpus(tmp_path).scan().notices == ("1 files that are no recording passed over: b.pdf.",)
    (tmp_path / "a.wav").unlink()
    with pytest.raises(CorpusError, match=r"holds no utterance \(1 files that are no recording passed over: b\.pdf\)"):
        open_corpus(tmp_path).scan()
    for name in "cdefg":
        (tmp_path / f"{name}.pdf").touch()
    with pytest.raises(CorpusError, match=r"passed over: b\.pdf, .*f\.pdf, \.\.\.\)\. Give"):
        open_corpus(tmp_path).scan()


def test_two_recordings_of_one_name_in_a_folder(tmp_path):
    for name in ("x.wav", "x.mp3"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CorpusError, match="id 'x' occurs twice"):
        open_corpus(tmp_path).scan()


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.touch()])
def test_a_corpus_without_utterances(tmp_path, make):
    path = tmp_path / "empty.jsonl"
    make(path)
    with pytest.raises(CorpusError, match=r"holds no utterance. Give a manifest"):
        open_corpus(path).scan()


def test_what_is_no_corpus(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(UsageError, match=r"a\.wav: not a manifest \(\.jsonl\) and not a folder"):
        open_corpus(tmp_path / "a.wav")
    with pytest.raises(UsageError, match=r"nowhere: no such file or folder. Give a"):
        open_corpus(tmp_path / "nowhere")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_scan_of_200_000_lines_is_quick_and_small(tmp_path):
    path = tmp_path / "manifest.jsonl"
    with path.open("w", encoding="utf-8") as lines:
        for number in range(200_000):
            lines.write(f'{{"id": "u{number}", "audio_filepath": "a/{number}.wav", "text": "some words of text"}}\n')
    code = f"""
import time
from allophone.corpora.corpus import open_corpus
from allophone.measure.memory import resident_bytes
before, started = resident_bytes(), time.perf_counter()
summary = open_corpus({str(path)!r}).scan()
print(summary.n_utterances, resident_bytes("VmHWM") - before, time.perf_counter() - started)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    n_utterances, growth_bytes, scan_s = done.stdout.split()
    assert n_utterances == "200000"
    assert int(growth_bytes) < 60_000_000  # a digest an id, 30 MB; the utterances themselves would take 100 MB
    assert float(scan_s) < 60  # 3 s on two idle cores; a quadratic scan would take hours
