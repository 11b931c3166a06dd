import json

import pytest

from allophone.corpora.corpus import open_corpus
from allophone.corpora.labels import labelled_utterances, labels_of
from allophone.errors import CorpusError


def corpus(folder, *rows):
    lines = [json.dumps({"id": f"u{n}", "audio_filepath": f"{n}.wav", **row}) for n, row in enumerate(rows)]
    (folder / "m.jsonl").write_text("\n".join(lines))
    return open_corpus(folder / "m.jsonl")


A, B = {"label": "a", "speaker": "x"}, {"label": "b", "speaker": "y"}


def test_labels_are_sorted_and_utterances_keep_their_order(tmp_path):
    utterances = labelled_utterances(corpus(tmp_path, B, A, B))
    assert [utterance.label for utterance in utterances] == ["b", "a", "b"]
    assert labels_of(utterances) == ("a", "b")


@pytest.mark.parametrize(
    ("rows", "known", "message"),
    [
        ((A, {"speaker": "x"}), None, "'u1' has no known label.*Give it the field 'label'"),
        ((A, {"label": "", "speaker": "x"}), None, "'u1' has no known label"),
        ((A, {"label": "b"}), None, "'u1' names no speaker"),
        ((A, A), None, "the only label is 'a'"),
        ((A, B), ("a", "c"), "'u1' has the label 'b'; known ones: a, c"),
    ],
)
def test_what_cannot_be_learned_is_refused(tmp_path, rows, known, message):
    with pytest.raises(CorpusError, match=message):
        labelled_utterances(corpus(tmp_path, *rows), known)


def test_one_label_is_enough_where_the_labels_are_known(tmp_path):
    assert len(labelled_utterances(corpus(tmp_path, A, A), ("a", "b"))) == 2
