import os

import pytest

from allophone.audio.decode import AUDIO_SUFFIXES
from allophone.corpora.corpus import open_corpus
from allophone.corpora.folders import label_of_name, read_folder
from allophone.corpora.manifest import read_manifest
from allophone.corpora.passed_over import PassedOver
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance


@pytest.mark.parametrize(
    ("stem", "label", "speaker"),
    [
        ("1001_DFA_ANG_XX", "anger", "1001"),
        ("1040_ITH_SAD_X", "sad", "1040"),  # the published corpus has this name
        ("1091_WSI_NEU_XX", "neutral", "1091"),
        ("03-01-06-01-02-01-12", "fear", "12"),
        ("03-01-02-01-01-01-01", "calm", "01"),
        ("1001_DFA_XYZ_XX", None, "1001"),
        ("03-01-09-01-02-01-12", None, "12"),
        ("84-121-0", None, None),
        ("1001_DFA_ANG_XX_copy", None, None),
        ("x03-01-06-01-02-01-12", None, None),
    ],
)
def test_names(stem, label, speaker):
    assert label_of_name(stem) == (label, speaker)


def test_a_folder_of_either_corpus_is_a_corpus(tmp_path):
    for name in ("AudioWAV/1001_DFA_HAP_LO.wav", "Actor_12/03-01-08-01-02-01-12.wav", "plain.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = {utterance.id: (utterance.label, utterance.speaker) for utterance in open_corpus(tmp_path)}
    assert found == {
        "AudioWAV/1001_DFA_HAP_LO": ("happy", "1001"),
        "Actor_12/03-01-08-01-02-01-12": ("surprise", "12"),
        "plain": (None, None),
    }


def test_the_real_manifest_and_its_file_names_agree(real_speech):
    utterances = list(read_manifest(real_speech / "crema-d/manifest.jsonl"))
    assert len(utterances) > 6000
    for utterance in utterances:
        assert label_of_name(utterance.audio_filepath.stem) == (utterance.label, utterance.speaker)


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


def read(folder):
    """The utterances, and what was passed over."""
    passed_over = PassedOver(folder)
    return list(read_folder(folder, passed_over)), passed_over.sentences()


def test_a_side_car_in_another_encoding_takes_its_recording_out_alone(tmp_path):
    touch(tmp_path, "a.wav", "sub/b.wav", "c.wav")
    touch(tmp_path, "c.txt", content="words")
    for name in ("a.txt", "sub/b.txt"):
        (tmp_path / name).write_bytes(b"caf\xe9")
    utterances, sentences = read(tmp_path)
    assert utterances == [Utterance("c", tmp_path / "c.wav", text="words")]
    assert sentences == ("2 transcripts that are not UTF-8 (with their recordings) passed over: a.txt, sub/b.txt.",)


def test_a_line_in_another_encoding_takes_its_recording_out_alone(tmp_path):
    touch(tmp_path, "1-2-0.flac", "1-2-1.flac")
    (tmp_path / "1-2.trans.txt").write_bytes(b"\xef\xbb\xbf1-2-0 caf\xe9\r\n1-2-1 caf\xc3\xa9\r\n")
    utterances, sentences = read(tmp_path)
    assert utterances == [Utterance("1-2-1", tmp_path / "1-2-1.flac", text="café", speaker="1")]
    assert sentences == ("1 transcripts that are not UTF-8 (with their recordings) passed over: 1-2.trans.txt:1.",)


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
def test_every_suffix_in_any_case_is_a_recording(tmp_path, suffix):
    touch(tmp_path, f"a{suffix}", f"b{suffix.upper()}")
    assert ids(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("side_car", ["a.txt", "a.TXT", "a.Txt"])
def test_side_cars_in_any_case(tmp_path, side_car):
    touch(tmp_path, "a.wav")
    touch(tmp_path, side_car, content="words")
    assert read(tmp_path) == ([Utterance("a", tmp_path / "a.wav", text="words")], ())


def test_the_usual_case_counts_most(tmp_path):
    touch(tmp_path, "a.wav")
    touch(tmp_path, "a.TXT", content="loud")
    touch(tmp_path, "a.txt", content="plain")
    utterances, sentences = read(tmp_path)
    assert utterances == [Utterance("a", tmp_path / "a.wav", text="plain")]
    assert sentences == ("1 transcripts without a recording passed over: a.TXT.",)


@pytest.mark.parametrize(("recording", "side_car"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")])
def test_composed_and_decomposed_names_are_one(tmp_path, recording, side_car):
    touch(tmp_path, f"{recording}.wav")
    touch(tmp_path, f"{side_car}.txt", content="words")
    assert read(tmp_path) == ([Utterance(recording, tmp_path / f"{recording}.wav", text="words")], ())


def test_what_is_no_recording_is_counted_and_named(tmp_path):
    touch(tmp_path, "a.wav", "notes.pdf", "sub/cover.jpg", "lost.txt", ".hidden", "sub/x.wav.part")
    assert set(read(tmp_path)[1]) == {
        "3 files that are no recording passed over: notes.pdf, sub/cover.jpg, sub/x.wav.part.",
        "1 transcripts without a recording passed over: lost.txt.",
    }


def test_pipes_are_passed_over(tmp_path):
    touch(tmp_path, "a.wav")
    os.mkfifo(tmp_path / "b.wav")
    utterances, sentences = read(tmp_path)
    assert [utterance.id for utterance in utterances] == ["a"]
    assert sentences == ("1 pipes and devices passed over: b.wav.",)


def test_a_link_to_nowhere_is_reported_when_its_turn_comes(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert read(tmp_path) == ([Utterance("a", tmp_path / "a.wav")], ())


def test_a_table_lists_recordings_below_it(tmp_path):
    touch(tmp_path, "a.wav", "data/b.wav", "data/c.wav", "c.wav")
    touch(tmp_path, "metadata.csv", content="file_name,transcription\na.wav,one\ndata/b.wav,two\n")
    touch(tmp_path, "data/c.txt", content="three")
    assert read(tmp_path)[0] == [
        Utterance("a", tmp_path / "a.wav", text="one"),
        Utterance("data/b", tmp_path / "data/b.wav", text="two"),
        Utterance("c", tmp_path / "c.wav"),
        Utterance("data/c", tmp_path / "data/c.wav", text="three"),
    ]


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
