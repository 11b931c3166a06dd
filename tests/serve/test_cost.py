from dataclasses import replace

from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.serve.cost import RequestCost, encoder_positions, transcript_flags
from allophone.transcription.recording import transcribe_points
from builders import tone

FULL = OperatingPoint(model="fake:tiny")
FIT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1.0)


def transcript(point=FULL, seconds=2.0):
    return transcribe_points(FakeEngine("tiny"), tone(seconds, 1), [point])[0]


def test_positions_that_held_audio_and_those_that_did_not():
    assert encoder_positions([transcript(FULL)]) == (100, 1400)  # 2 s at 50 a second, of 1500
    assert encoder_positions([transcript(FIT)]) == (100, 50)  # and 1 s of margin
    assert encoder_positions([transcript(FIT), transcript(FULL)]) == (100, 50 + 1500)  # the second pass repeats
    assert encoder_positions([]) == (0, 0)


def test_flags_of_a_transcript():
    plain = transcript()
    (segment,) = plain.segments
    assert transcript_flags(plain, ()) == ()
    assert transcript_flags(replace(plain, text=""), ()) == ("silence",)
    assert transcript_flags(plain, ("45 s",)) == ("outside_calibrated_range",)
    assert transcript_flags(replace(plain, notices=("odd",)), ()) == ("notices",)
    again = replace(segment, rejected=segment, truncated=True, avg_logprob=-1.5)
    assert transcript_flags(replace(plain, segments=(again,)), ()) == ("fallback", "low_confidence", "truncated")


def test_headers_are_one_line_of_ascii_each():
    cost = RequestCost(
        *("p", "title", "chosen: WER \u2264 12\r\nX-Evil: 1"),
        *(("p",), (0.25,), 0.1, 1.5, "reference", 3.0, 0.0, 0.1, 0.2, 0.3, 0.4, 100, 50, ("silence",)),
    )
    headers = cost.headers()
    assert headers["x-allophone-reason"] == "chosen: WER ? 12 X-Evil: 1"
    assert headers["x-allophone-encoder-positions"] == "used=100;padded=50"
    assert headers["x-allophone-score"] == "0.25"
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    assert cost.as_dict()["seconds"] == {
        "queue": 0.0,
        "decode_audio": 0.1,
        "prepare": 0.2,
        "encode": 0.3,
        "generate": 0.4,
    }
