from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from allophone.corpora.stratify import deal_speakers, speakers_of
from allophone.records.utterance import Utterance


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
