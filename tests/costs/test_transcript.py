from dataclasses import replace

from allophone.costs.executed import whisper_flops
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.whisper import whisper_dimensions
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Transcript


def test_every_pass_is_counted_with_its_own_frames_tail_and_tokens():
    dims = whisper_dimensions("tiny.en")
    point = OperatingPoint(model="tiny.en", context="fit", margin_s=1, tail="all", token_stride=2, beam_size=2)
    short = Segment(0, 4, "a", (1,), 9, 500, 1250, -0.1, 0, 1, False, 0.1, 0.1)
    whole = replace(short, frames=3000, tail_tokens=0, token_count=5, rejected=short)
    transcript = Transcript(point, "a a", "en", 8.0, (whole, short), 0.0, 2)
    expected = whisper_flops(
        dims,
        window_frames=[500, 3000, 500],
        window_tail=[1250, 0, 1250],
        window_tokens=[9, 5, 9],
        prompt_tokens=2,
        token_stride=2,
        beam_size=2,
        no_speech_prob=True,
    )
    assert transcript_flops(dims, transcript) == expected
