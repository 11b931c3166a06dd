import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allophone.corpora.corpus import open_corpus
from allophone.corpora.labels import deal_speakers, labelled_utterances, labels_of, speakers_of
from allophone.errors import CorpusError
from allophone.records.utterance import Utterance


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


def spoken(speaker, label, count):
    return [Utterance(f"{speaker}{label}{n}", Path("x"), label=label, speaker=speaker) for n in range(count)]


def test_labels_come_near_their_shares():
    # Twelve speakers, each strong in one of three labels: two halves that ignore labels could get 8 : 4 of one.
    utterances = [
        u for n in range(12) for label in "abc" for u in spoken(f"s{n}", label, 9 if "abc"[n % 3] == label else 1)
    ]
    for part in deal_speakers(utterances, [1, 1], seed=0):
        counts = Counter(u.label for u in utterances if u.speaker in part)
        assert counts == {"a": 22, "b": 22, "c": 22}


def test_unequal_shares():
    utterances = [u for n in range(20) for u in spoken(f"s{n}", "ab"[n % 2], 5)]
    large, small = deal_speakers(utterances, [4, 1], seed=3)
    assert (len(large), len(small)) == (16, 4)
    assert Counter(u.label for u in utterances if u.speaker in small) == {"a": 10, "b": 10}


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12),
    parts=st.integers(1, 4),
    seed=st.integers(0, 5),
)
def test_every_speaker_is_dealt_once_and_no_part_is_empty(counts, parts, seed):
    utterances = [
        u for n, (a, b) in enumerate(counts) for u in spoken(f"s{n:02d}", "a", a) + spoken(f"s{n:02d}", "b", b)
    ]
    dealt = deal_speakers(utterances, [1.0] * parts, seed)
    assert sorted(speaker for part in dealt for speaker in part) == list(speakers_of(utterances))
    assert sum(bool(part) for part in dealt) == min(parts, len(counts))
    assert dealt == deal_speakers(utterances, [1.0] * parts, seed)
