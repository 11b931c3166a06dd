from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Transcript


def segment(text, encode_s, decode_s, cpu_s=0.0, rejected=None):
    return Segment(
        0.0, 1.0, text, (), 1, 100, 0, -0.1, 0.0, 1.0, False, encode_s, decode_s, rejected=rejected, cpu_s=cpu_s
    )


def transcript(*segments):
    point = OperatingPoint(model="fake:tiny")
    text = " ".join(one.text for one in segments)
    return Transcript(point, text, "en", 2.0, segments, 0.25, 2, cut_cpu_s=0.125)


def test_every_pass_is_charged_the_rejected_ones_before_those_that_stayed():
    first = segment("loop", 1.0, 8.0, cpu_s=9.0)
    second = segment("still", 2.0, 4.0, cpu_s=6.0, rejected=first)
    found = transcript(segment("said", 4.0, 2.0, cpu_s=6.0, rejected=second), segment("more", 0.5, 0.5, cpu_s=1.0))
    assert [one.text for one in found.passes] == ["loop", "still", "said", "more"]
    assert found.encode_s == 1.0 + 2.0 + 4.0 + 0.5
    assert found.decode_s == 8.0 + 4.0 + 2.0 + 0.5
    assert found.latency_s == 0.25 + 7.5 + 14.5
    assert found.cpu_s == 0.125 + 9.0 + 6.0 + 6.0 + 1.0


def test_silence_takes_its_preparation_only():
    found = transcript()
    assert (found.passes, found.encode_s, found.decode_s, found.latency_s) == ((), 0, 0, 0.25)


def test_a_charge_goes_to_the_decoder():
    before = segment("said", 1.0, 2.0, cpu_s=3.0)
    after = before.charged(0.5, 0.25)
    assert (after.encode_s, after.decode_s, after.cpu_s) == (1.0, 2.5, 3.25)
    assert before.decode_s == 2.0
