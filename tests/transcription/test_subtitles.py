import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Transcript, Word
from allophone.transcription.recording import transcribe_points
from allophone.transcription.subtitles import format_transcript, transcript_dict

POINT = OperatingPoint(model="tiny.en")


def segment(start_s, end_s, *words, text=None):
    text = "".join(word.text for word in words).strip() if text is None else text
    return Segment(start_s, end_s, text, (1,), 2, 3000, 0, -0.1, 0.0, 1.0, False, 0.5, 0.25, words)


def transcript(*segments):
    text = " ".join(part.text for part in segments if part.text)
    return Transcript(POINT, text, "en", 60.0, segments, 0.125, 2)


def words(text, start_s=0.0, step_s=0.5):
    return [
        Word(f" {word}", start_s + step_s * number, start_s + step_s * (number + 1), 0.9)
        for number, word in enumerate(text.split())
    ]


def cues(document):
    """Start and end in ms and the text of every cue, read by the letter of SubRip or WebVTT."""
    clock = r"(\d\d):(\d\d):(\d\d)[,.](\d\d\d)"
    found = re.findall(rf"^{clock} --> {clock}\n(.+)$", document, flags=re.MULTILINE)
    for *numbers, text in found:
        h1, m1, s1, ms1, h2, m2, s2, ms2 = map(int, numbers)
        yield ((h1 * 60 + m1) * 60 + s1) * 1000 + ms1, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2, text


HELLO = transcript(segment(0, 3, *words("Hello there. How are you?")), segment(3661.5, 3663, *words("Fine.", 3661.5)))


def test_text_is_the_text():
    assert format_transcript(HELLO, "text") == "Hello there. How are you? Fine."


def test_subrip():
    assert format_transcript(HELLO, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,000\nHello there.\n\n"
        "2\n00:00:01,000 --> 00:00:02,500\nHow are you?\n\n"
        "3\n01:01:01,500 --> 01:01:02,000\nFine."  # 3661.5 s = 1 h 1 min 1.5 s
    )


def test_webvtt():
    assert format_transcript(HELLO, "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello there.\n\n"
        "00:00:01.000 --> 00:00:02.500\nHow are you?\n\n"
        "01:01:01.500 --> 01:01:02.000\nFine."
    )


def test_json_reads_back():
    fields = json.loads(format_transcript(HELLO, "json"))
    assert fields == json.loads(json.dumps(transcript_dict(HELLO)))
    assert (fields["point"], fields["text"], fields["language"]) == ("tiny.en-full-s1-int8-b1", HELLO.text, "en")
    assert (fields["encode_s"], fields["decode_s"], fields["latency_s"]) == (1.0, 0.5, 1.625)  # 0.125 + 1 + 0.5
    assert fields["segments"][0]["words"][1] == {"text": "there.", "start_s": 0.5, "end_s": 1.0, "probability": 0.9}


def test_what_tells_of_decoding_alone_is_left_out_unless_asked_for():
    usual, whole = transcript_dict(HELLO), transcript_dict(HELLO, internals=True)
    internal = {"tokens", "token_count", "token_logprobs", "token_entropies", "confidence_s", "rejected", "frames"}
    assert set(whole) - set(usual) == {"prompt_tokens"}
    assert set(whole["segments"][0]) - set(usual["segments"][0]) == {*internal, "tail_tokens"}
    assert "cpu_s" not in whole["segments"][0]


@pytest.mark.parametrize(("style", "document"), [("text", ""), ("srt", ""), ("vtt", "WEBVTT")])
def test_nothing_said(style, document):
    assert format_transcript(transcript(), style) == document
    assert format_transcript(transcript(segment(0, 3)), style) == document


def test_a_window_without_word_times_is_one_cue():
    assert format_transcript(transcript(segment(1, 3, text="Hello.")), "srt") == (
        "1\n00:00:01,000 --> 00:00:03,000\nHello."
    )


def test_cues_are_at_most_two_lines_and_seven_seconds():
    long = transcript(segment(0, 30, *words("wonderful " * 40, step_s=0.3)))
    for start, end, text in cues(format_transcript(long, "srt")):
        assert len(text) <= 84  # two lines of 42 characters
        assert end - start <= 7000
    slow = transcript(segment(0, 30, *words("slow " * 10, step_s=2.5)))
    assert [end - start for start, end, _ in cues(format_transcript(slow, "srt"))] == [5000] * 5


def test_webvtt_escapes_what_would_be_markup():
    text = format_transcript(transcript(segment(0, 3, *words("R&B <i> -->"))), "vtt")
    assert text.endswith("R&amp;B &lt;i&gt; --&gt;")


def test_words_without_spaces_stay_joined():
    said = [
        Word("你", 0.0, 0.5, 1.0),
        Word("好", 0.5, 1.0, 1.0),
        Word(" ice", 1.0, 1.5, 1.0),
        Word("-cream", 1.5, 2, 1.0),
    ]
    assert [text for *_, text in cues(format_transcript(transcript(segment(0, 2, *said)), "srt"))] == ["你好 ice-cream"]


def test_words_heard_at_the_very_end_still_get_a_cue_that_lasts():
    late = [Word(" So.", 3.0, 3.0, 0.1), Word(" Yes.", 3.0, 3.0, 0.1)]
    assert list(cues(format_transcript(transcript(segment(1, 3, *late)), "vtt"))) == [(1000, 3000, "So. Yes.")]
    after = transcript(segment(0, 3, *words("Hello there."), *late))
    assert list(cues(format_transcript(after, "vtt"))) == [(0, 3000, "Hello there. So. Yes.")]


def test_a_window_of_no_length_still_lasts_a_millisecond():
    assert list(cues(format_transcript(transcript(segment(0, 0, Word(" You", 0.0, 0.0, 0.1))), "vtt"))) == [
        (0, 1, "You")
    ]


@st.composite
def transcripts(draw):
    """Windows in order with words in order, many of them at one time."""
    segments, place = [], 0.0
    for _ in range(draw(st.integers(0, 3))):
        start = place + draw(st.sampled_from([0.0, 0.5]))
        times = sorted(draw(st.lists(st.integers(0, 8), max_size=8)))
        ends = [*times[1:], 8][: len(times)]
        texts = draw(
            st.lists(st.sampled_from([" a", " end.", " wonderful" * 4]), min_size=len(times), max_size=len(times))
        )
        said = [
            Word(text, start + begin * 2.5, start + end * 2.5, 1.0)
            for text, begin, end in zip(texts, times, ends, strict=True)
        ]
        segments.append(segment(start, start + 20, *said))
        place = start + 20
    return transcript(*segments)


@given(transcripts())
def test_cues_last_are_in_order_and_hold_all_words(spoken):
    for style in ("srt", "vtt"):
        found = list(cues(format_transcript(spoken, style)))
        assert all(start < end for start, end, _ in found)
        assert all(first[1] <= second[0] for first, second in pairwise(found))
        assert " ".join(text for *_, text in found) == spoken.text


def test_a_real_transcript_becomes_valid_subtitles(tiny_en, speech):
    (spoken,) = transcribe_points(tiny_en, speech[0].samples, [POINT], words=True)
    ((start, end, text),) = cues(format_transcript(spoken, "vtt"))
    assert 0 <= start < end <= 1000 * spoken.duration_s
    assert text == speech[0].text
