from pathlib import Path

import pytest

from allophone.corpora.split_parts import Split, check_shape, check_speakers
from allophone.errors import CorpusError, UsageError
from allophone.records.utterance import Utterance

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
