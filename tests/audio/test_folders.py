import pytest

from allophone.audio.folders import read_folder
from allophone.errors import CorpusError
from allophone.records import Utterance


def touch(folder, *names, content="x"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def ids(folder):
    return [utterance.id for utterance in read_folder(folder)]


def test_recordings_with_and_without_side_cars(tmp_path):
    touch(tmp_path, "b.wav", "a.mp3", "sub/c.FLAC")
    touch(tmp_path, "a.txt", content="  what was said\n")
    touch(tmp_path, "sub/c.txt", content="")
    assert list(read_folder(tmp_path)) == [
        Utterance("a", tmp_path / "a.mp3", text="what was said"),
        Utterance("b", tmp_path / "b.wav"),
        Utterance("sub/c", tmp_path / "sub/c.FLAC", text=""),
    ]


def test_the_order_is_sorted_directory_by_directory(tmp_path):
    touch(tmp_path, "z.wav", "b/2.wav", "b/10.wav", "a/1.wav")
    assert ids(tmp_path) == ["z", "a/1", "b/10", "b/2"]


def test_hidden_and_other_files_are_passed_over(tmp_path):
    touch(tmp_path, ".hidden.wav", "._a.wav", ".git/x.wav", "notes.md", "a.txt", "a.wav.part")
    assert ids(tmp_path) == []


def test_a_librispeech_tree(tmp_path):
    touch(tmp_path, "84/121/84-121-0.flac", "84/121/84-121-1.opus", "174/50/174-50-0.flac")
    touch(tmp_path, "84/121/84-121.trans.txt", content="84-121-0 GO ON\r\n\n84-121-1\tTWO  WORDS \n")
    touch(tmp_path, "174/50/174-50.trans.txt", content="174-50-0 YES")
    assert list(read_folder(tmp_path)) == [
        Utterance("174-50-0", tmp_path / "174/50/174-50-0.flac", text="YES", speaker="174"),
        Utterance("84-121-0", tmp_path / "84/121/84-121-0.flac", text="GO ON", speaker="84"),
        Utterance("84-121-1", tmp_path / "84/121/84-121-1.opus", text="TWO  WORDS", speaker="84"),
    ]


def test_a_librispeech_line_without_words_is_an_empty_transcript(tmp_path):
    touch(tmp_path, "1-2-0.flac")
    touch(tmp_path, "1-2.trans.txt", content="1-2-0\n")
    assert [utterance.text for utterance in read_folder(tmp_path)] == [""]


def test_no_recording_is_dropped_and_none_is_made_up(tmp_path):
    touch(tmp_path, "1-2-0.flac", "1-2-7.flac")
    touch(tmp_path, "1-2.trans.txt", content="1-2-0 HERE\n1-2-1 NOT HERE\n")
    assert list(read_folder(tmp_path)) == [
        Utterance("1-2-0", tmp_path / "1-2-0.flac", text="HERE", speaker="1"),
        Utterance("1-2-1", tmp_path / "1-2-1.flac", text="NOT HERE", speaker="1"),  # reported when its turn comes
        Utterance("1-2-7", tmp_path / "1-2-7.flac"),
    ]


def test_a_byte_order_mark_is_no_text(tmp_path):
    touch(tmp_path, "a.wav")
    (tmp_path / "a.txt").write_text("words", encoding="utf-8-sig")
    assert [utterance.text for utterance in read_folder(tmp_path)] == ["words"]


@pytest.mark.parametrize("name", ["a.txt", "a.trans.txt"])
def test_a_transcript_in_another_encoding(tmp_path, name):
    touch(tmp_path, "a.wav")
    (tmp_path / name).write_bytes(b"caf\xe9")
    with pytest.raises(CorpusError, match=rf"{name}: not UTF-8.*Save the transcript"):
        list(read_folder(tmp_path))


def test_a_name_that_is_not_utf_8_gets_an_id_that_can_be_written(tmp_path):
    touch(tmp_path, b"caf\xe9.wav".decode("utf-8", "surrogateescape"), "café.wav")
    assert sorted(ids(tmp_path)) == ["caf\\xe9", "café"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path / "far", "b.wav")
    touch(tmp_path / "corpus", "a.wav")
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "far")
    (tmp_path / "corpus" / "loop").symlink_to(tmp_path / "corpus")
    assert ids(tmp_path / "corpus") == ["a", "linked/b"]


def test_a_folder_that_vanished(tmp_path):
    with pytest.raises(CorpusError, match="gone: cannot be listed"):
        list(read_folder(tmp_path / "gone"))
