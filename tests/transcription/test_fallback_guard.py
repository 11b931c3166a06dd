"""What the guard turns down, and what it lets pass."""

from dataclasses import replace

import pytest

from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment
from allophone.transcription.fallback import failure_reason, largest_compression_ratio, may_end_early, pick_pass
from allophone.transcription.recording import transcribe_points
from allophone.transcription.windows import compression_ratio
from builders import tone

SENTENCE = "he hoped there would be stew for dinner turnips and carrots and bruised potatoes"
GOOD = Segment(0, 6, SENTENCE, (), 20, 700, 0, -0.2, 0.01, compression_ratio(SENTENCE), False, 0.1, 0.1)


def saying(text, **changes):
    return replace(GOOD, text=text, compression_ratio=compression_ratio(text), **changes)


def test_an_ordinary_sentence_is_believed():
    assert failure_reason(GOOD) is None


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (replace(GOOD, truncated=True), "cap"),
        (replace(GOOD, token_count=39), "more text"),  # 5.5 · 6 + 5 = 38
        (replace(GOOD, avg_logprob=-1.01), "log-probability"),
        (saying("", no_speech_prob=0.3), "no text"),
        (saying(" ".join(["thank you"] * 8)), "repetition"),
        (saying(" ".join([SENTENCE] * 3)), "repetition"),
    ],
)
def test_a_failure_has_its_reason(segment, reason):
    assert reason in failure_reason(segment)


@pytest.mark.parametrize(
    "segment",
    [
        replace(GOOD, token_count=38),
        replace(GOOD, end_s=0.4, token_count=7),  # a call of a few words
        replace(GOOD, avg_logprob=-1.0),
        saying("", no_speech_prob=0.7),
        saying("no no no"),  # said by people
    ],
)
def test_the_edge_is_believed(segment):
    assert failure_reason(segment) is None


def test_short_loops_are_caught_below_the_bound_for_long_text():
    loop = " ".join(["I see"] * 6)
    assert largest_compression_ratio(len(loop)) < compression_ratio(loop) < 2.4


@pytest.mark.parametrize(
    ("changes", "speech_s", "suspicious"),
    [
        ({"token_count": 13}, None, True),  # 2.2 · 6 = 13.2
        ({"token_count": 14}, None, False),
        ({"token_count": 13}, 5.9, False),  # too short to tell from a call
        ({"end_s": 20, "token_count": 20}, 9.0, False),  # slow, for its pauses
        ({"end_s": 20, "token_count": 19}, 9.0, True),  # 2.2 · 9 = 19.8
        ({"token_count": 1, "text": ""}, None, False),  # no text at all has its own sign
    ],
)
def test_little_text_for_much_speech_is_suspicious(changes, speech_s, suspicious):
    assert may_end_early(replace(GOOD, **changes), speech_s) is suspicious


def test_the_whole_context_wins_unless_it_failed_as_well():
    short = replace(GOOD, avg_logprob=-1.2)
    assert pick_pass(short, GOOD) is GOOD
    looping = replace(GOOD, truncated=True, avg_logprob=-0.1)
    assert pick_pass(short, looping) is short
    assert pick_pass(replace(short, truncated=True), looping) is looping  # both at the cap: the likelier
    unlikely = replace(GOOD, avg_logprob=-1.5)
    assert pick_pass(short, unlikely) is short
    assert pick_pass(replace(short, avg_logprob=-1.6), unlikely) is unlikely


class Looping(FakeEngine):
    """Reaches the cap on every window below the full context."""

    def decode_batch(self, encoded, **knobs):
        short = encoded.shape[1] < 1500
        found = super().decode_batch(encoded, **knobs)
        return [replace(one, truncated=True, text="round and round") if short else one for one in found]


class Hopeless(FakeEngine):
    """Reaches the cap on every window, and is the less sure of it the longer the context."""

    def decode_batch(self, encoded, **knobs):
        sure = -0.1 if encoded.shape[1] < 1500 else -0.5
        return [replace(one, truncated=True, avg_logprob=sure) for one in super().decode_batch(encoded, **knobs)]


@pytest.fixture
def _spoken(monkeypatch):
    """The voice-activity detector hears no speech in tones, so it is told that there is some."""
    monkeypatch.setattr("allophone.transcription.fallback.speech_spans", lambda samples, longest_s: [(0, samples.size)])


@pytest.mark.usefixtures("_spoken")
def test_a_loop_without_a_tail_is_decoded_again_behind_one_and_both_passes_are_paid():
    guarded = OperatingPoint(model="tiny", context="fit", margin_s=1, guard=True)
    plain = guarded.model_copy(update={"guard": False})
    full = OperatingPoint(model="tiny")
    engine, audio = Looping("tiny"), tone(4.0, 1)
    with_guard, without = transcribe_points(engine, audio, [guarded, plain])
    (reference,) = transcribe_points(engine, audio, [full])
    assert without.text == "round and round"
    assert without.segments[0].rejected is None
    assert with_guard.text == reference.text != without.text
    assert [passed.frames for passed in with_guard.passes] == [500, 0]
    assert with_guard.segments[0].rejected.text == "round and round"
    assert with_guard.encode_s > with_guard.segments[0].encode_s == 0
    assert with_guard.decode_s > with_guard.segments[0].decode_s > 0


@pytest.mark.usefixtures("_spoken")
def test_where_all_passes_fail_the_likeliest_stays_and_nothing_runs_for_ever():
    point = OperatingPoint(model="tiny", context="fit", margin_s=1, guard=True)
    (transcript,) = transcribe_points(Hopeless("tiny"), tone(4.0, 1), [point])
    (segment,) = transcript.segments
    assert segment.frames == 500
    assert [passed.frames for passed in transcript.passes] == [0, 3000, 500]
