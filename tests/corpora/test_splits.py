import json
from collections import Counter
from pathlib import Path

import pytest

from allophone.corpora.corpus import open_corpus
from allophone.corpora.labels import labelled_utterances
from allophone.corpora.splits import (
    PARTS,
    Split,
    check_shape,
    check_speakers,
    fixed_split,
    make_folds,
    read_splits,
    write_splits,
)
from allophone.errors import CorpusError, UsageError
from allophone.records.utterance import Utterance
from emotion_builders import write_emotions

WHERE = Path("split.json")
CORPUS = [
    Utterance(f"{who}{label}", Path("x"), speaker=who, label=label) for who in "abcd" for label in ("high", "low")
]


def split(train="ab", validation="c", test="d", name="one"):
    return Split(name=name, train=tuple(train), validation=tuple(validation), test=tuple(test))


def test_a_part_is_the_utterances_of_its_speakers():
    assert [utterance.id for utterance in split().select(CORPUS, "test")] == ["dhigh", "dlow"]


@pytest.mark.parametrize(
    ("splits", "kind", "message"),
    [
        ([], CorpusError, "field 'splits' is empty"),
        ([split(), split(test="a", train="bd")], CorpusError, "two splits are called 'one'"),
        ([split(name="")], CorpusError, "split name ''"),
        ([split(test="a")], CorpusError, "speaker 'a' in train and in test"),
        ([split(train="aa")], CorpusError, "speaker 'a' in train twice"),
        ([split(train="")], UsageError, "'one' leaves no speaker for train"),
    ],
)
def test_shapes_that_cannot_be(splits, kind, message):
    with pytest.raises(kind, match=f"split.json: .*{message}"):
        check_shape(splits, WHERE)


def test_a_good_one_has_no_warning():
    check_shape([split()], WHERE)
    assert check_speakers([split()], CORPUS, ("high", "low"), WHERE) == ()


def test_speakers_and_labels_are_the_corpus_s():
    with pytest.raises(CorpusError, match=r"split\.json: the corpus has no speaker 'z', as split 'one' names in test"):
        check_speakers([split(test="z")], CORPUS, ("high", "low"), WHERE)
    with pytest.raises(CorpusError, match="no training speaker of split 'one' has the label 'rare'"):
        check_speakers([split()], CORPUS, ("high", "low", "rare"), WHERE)
    with_rare = [*CORPUS, Utterance("r", Path("x"), speaker="a", label="rare")]
    assert check_speakers([split()], with_rare, ("high", "low", "rare"), WHERE) == (
        "one: no validation speaker has rare; rates leave it out.",
        "one: no test speaker has rare; rates leave it out.",
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return open_corpus(write_emotions(tmp_path_factory.mktemp("c"), n_speakers=7, per_label=1))


def test_folds_test_every_speaker_once_and_never_mix_speakers(corpus):
    splits = make_folds(corpus, folds=3, seed=1)
    assert [split.name for split in splits.splits] == ["fold-0", "fold-1", "fold-2"]
    assert sorted(speaker for split in splits.splits for speaker in split.test) == [f"s{n}" for n in range(7)]
    for split in splits.splits:
        everyone = [*split.train, *split.validation, *split.test]
        assert sorted(everyone) == sorted(set(everyone))
        assert len(everyone) == 7
    assert splits.labels == ("high", "low")
    assert make_folds(corpus, folds=3, seed=1) == splits


def test_a_file_is_read_back_and_checked_against_the_corpus(corpus, tmp_path):
    splits = make_folds(corpus, folds=2)
    write_splits(tmp_path / "a/split.json", splits)
    assert read_splits(tmp_path / "a/split.json", corpus) == splits
    other = open_corpus(write_emotions(tmp_path / "other", n_speakers=7, per_label=2))
    with pytest.raises(CorpusError, match=r"split.json: was made for another corpus"):
        read_splits(tmp_path / "a/split.json", other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f["splits"][0]["train"].append(f["splits"][0]["test"][0]),
            "has speaker 's[0-9]' in train and in test",
        ),
        (lambda f: f["splits"][0]["train"].append(f["splits"][0]["train"][0]), "has speaker 's[0-9]' in train twice"),
        (lambda f: f["splits"][1].update(name="fold-0"), "two splits are called 'fold-0'"),
        (lambda f: f["splits"][1].update(name="a/b"), "split name 'a/b': use letters"),
        (lambda f: f.update(splits=[]), "'splits' is empty"),
        (lambda f: f["splits"][0]["train"].append("s99"), "the corpus has no speaker 's99', as split 'fold-0' names"),
        (lambda f: f["splits"][0]["train"].pop(), "'fingerprint' does not fit"),
        (lambda f: f.update(fingerprint="0"), "'fingerprint' does not fit"),
        (lambda f: f["labels"].reverse(), "'fingerprint' does not fit"),
        (lambda f: f.update(schema_version=9), "'schema_version' is 9"),
        (lambda f: f.pop("labels"), "field 'labels'"),
    ],
)
def test_a_changed_file_is_refused(corpus, tmp_path, change, message):
    path = tmp_path / "split.json"
    write_splits(path, make_folds(corpus, folds=2))
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))
    with pytest.raises(CorpusError, match=rf"split\.json: .*{message}"):
        read_splits(path, corpus)


def test_files_that_are_none(tmp_path):
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        read_splits(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(CorpusError, match=r"bad\.json: not valid JSON \(Expecting property name"):
        read_splits(tmp_path / "bad.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(CorpusError, match=r"list\.json: holds no JSON object. Give one with the field 'splits'"):
        read_splits(tmp_path / "list.json")


MINE = {"name": "mine", "train": ["s0", "s1"], "validation": ["s2"], "test": ["s3", "s4"]}


def by_hand(folder, *splits):
    (folder / "mine.json").write_text(json.dumps({"splits": splits}))
    return folder / "mine.json"


def test_a_file_made_by_hand_gets_what_it_leaves_out(corpus, tmp_path):
    found = read_splits(by_hand(tmp_path, MINE), corpus)
    assert found.split("mine").test == ("s3", "s4")
    assert (found.labels, found.corpus_fingerprint) == (("high", "low"), corpus.scan().fingerprint)
    assert found.fingerprint == found.digest()
    write_splits(tmp_path / "whole.json", found)
    assert read_splits(tmp_path / "whole.json", corpus) == found
    made = make_folds(corpus, folds=2)
    write_splits(tmp_path / "made.json", made)
    fields = json.loads((tmp_path / "made.json").read_text())
    del fields["fingerprint"]
    (tmp_path / "made.json").write_text(json.dumps(fields))
    assert read_splits(tmp_path / "made.json", corpus) == read_splits(tmp_path / "made.json") == made


def test_a_file_made_by_hand_is_checked(corpus, tmp_path):
    with pytest.raises(
        CorpusError, match=r"mine\.json: the corpus has no speaker 'nobody', as split 'mine' names in tes"
    ):
        read_splits(by_hand(tmp_path, {**MINE, "test": ["nobody"]}), corpus)
    with pytest.raises(UsageError, match=r"mine\.json: split 'mine' leaves no speaker for validation"):
        read_splits(by_hand(tmp_path, {**MINE, "validation": []}), corpus)
    with pytest.raises(CorpusError, match=r"mine\.json: field 'splits.0.test'"):
        read_splits(by_hand(tmp_path, {key: MINE[key] for key in ("name", "train", "validation")}), corpus)
    lacking = lone_label(tmp_path / "c", [2, 3])
    with pytest.raises(CorpusError, match=r"mine\.json: no training speaker of split 'mine' has the label 'rare'"):
        read_splits(by_hand(tmp_path, MINE), lacking)
    there = lone_label(tmp_path / "d", [0])
    assert "mine: no test speaker has rare; rates leave it out." in read_splits(by_hand(tmp_path, MINE), there).warnings


def test_a_fixed_split(corpus):
    named = fixed_split(corpus, test=["s1"], validation=["s0", "s2"]).split("fixed")
    assert (named.train, named.validation, named.test) == (("s3", "s4", "s5", "s6"), ("s0", "s2"), ("s1",))
    drawn = fixed_split(corpus, test=["s1", "s2"]).split("fixed")
    assert (len(drawn.train), len(drawn.validation)) == (4, 1)


def test_impossible_splits_say_why(corpus):
    with pytest.raises(CorpusError, match="has speaker 's1' in validation and in test"):
        fixed_split(corpus, test=["s1"], validation=["s1"])
    with pytest.raises(CorpusError, match="no speaker 'nobody'"):
        fixed_split(corpus, test=["nobody"])
    with pytest.raises(UsageError, match="fewer than two speakers"):
        fixed_split(corpus, test=[f"s{n}" for n in range(6)])
    with pytest.raises(UsageError, match="8 folds of 7 speakers"):
        make_folds(corpus, folds=8)
    with pytest.raises(UsageError, match=r"unknown split 'x'; those of .* are fold-0, fold-1"):
        make_folds(corpus, folds=2).split("x")
    with pytest.raises(UsageError, match="1 folds of 7 speakers: give 2 folds or more"):
        make_folds(corpus, folds=1)


@pytest.mark.parametrize(("n_speakers", "said"), [(1, "has 1 speaker, "), (2, "has 2 speakers, ")])
def test_too_few_speakers_for_any_split(tmp_path, n_speakers, said):
    few = open_corpus(write_emotions(tmp_path / "c", n_speakers=n_speakers))
    with pytest.raises(UsageError, match=rf"manifest\.jsonl: {said}and at least 3 are needed"):
        make_folds(few, folds=n_speakers)


def lone_label(folder, speakers):
    """Five speakers with both labels, and a third label that only some have."""
    manifest = write_emotions(folder, n_speakers=5, per_label=1)
    extra = {"audio_filepath": "audio/0-low-0.wav", "label": "rare"}
    with manifest.open("a") as file:
        for speaker in speakers:
            file.write(json.dumps({**extra, "id": f"rare{speaker}", "speaker": f"s{speaker}"}) + "\n")
    return open_corpus(manifest)


def test_a_class_absent_from_a_part_is_said_and_from_training_refused(tmp_path):
    splits = fixed_split(lone_label(tmp_path / "a", [0]), test=["s1"], validation=["s2"])
    assert splits.warnings == (
        "fixed: no validation speaker has rare; rates leave it out.",
        "fixed: no test speaker has rare; rates leave it out.",
    )
    with pytest.raises(CorpusError, match="no training speaker of split 'fixed' has the label 'rare'"):
        fixed_split(lone_label(tmp_path / "b", [1]), test=["s1"], validation=["s2"])


def test_real_folds_hold_equal_shares_of_every_label(real_speech):
    corpus = open_corpus(real_speech / "crema-d")
    splits, utterances = make_folds(corpus, folds=5), labelled_utterances(corpus)
    whole = Counter(utterance.label for utterance in utterances)
    for split in splits.splits:
        assert len(split.test) == 16
        for part in PARTS:
            counts = Counter(utterance.label for utterance in split.select(utterances, part))
            share = sum(counts.values()) / len(utterances)
            for label, count in counts.items():
                assert count / (share * whole[label]) == pytest.approx(1, abs=0.03)
