import json
from dataclasses import replace

from allophone.costs.executed import whisper_flops
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.whisper import whisper_dimensions
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.routing.routed_transcript import RoutedTranscript
from allophone.routing.samples import point_dimensions
from allophone.transcription.recording import transcribe_points
from builders import tone

POINT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1, token_stride=2)


def transcript():
    return transcribe_points(FakeEngine("tiny"), tone(2.0, 1), [POINT])[0]


def test_flops_are_those_of_every_pass():
    found = transcript()
    segment = found.segments[0]
    once = whisper_flops(
        whisper_dimensions("tiny"),
        window_frames=[300],
        window_tokens=[segment.token_count],
        prompt_tokens=4,
        token_stride=2,
        no_speech_prob=True,
    ).total
    assert transcript_flops(point_dimensions(found.point), found).total == once
    twice = replace(found, segments=(replace(segment, rejected=segment),))
    assert transcript_flops(point_dimensions(twice.point), twice).total == 2 * once


def test_it_says_in_words_and_in_data_what_was_done():
    found = RoutedTranscript(transcript(), ("a", "b"), (0.25,), 0.1, 3_000_000_000, 1.5, ("45.0 s of audio",))
    assert found.text == found.transcript.text
    assert found.explain() == (
        f"{POINT.name} of a > b; score 0.25 (climbs above 0.1); 3.0 GFLOPs, 1.50 s; "
        "outside the policy's range: 45.0 s of audio"
    )
    fields = json.loads(json.dumps(found.route_dict()))
    assert (fields["ran"], fields["outside"]) == (["a", "b"], ["45.0 s of audio"])
