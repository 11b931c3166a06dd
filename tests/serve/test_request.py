from dataclasses import replace

import pytest

from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.serve.request import WARM_UP_S, Work, bill_request, warm_up_noise
from allophone.serve.work_queue import Job
from allophone.sweeps.isoflop import predicted_flops
from allophone.transcription.recording import transcribe_points
from builders import tone

FULL = OperatingPoint(model="fake:tiny", beam_size=5)
FIT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1.0)


def test_a_request_is_billed_for_all_that_ran_and_against_what_was_heard():
    engine = FakeEngine("tiny")
    samples = tone(2.0, 1)
    first, kept = (transcribe_points(engine, samples, [point])[0] for point in (FIT, FULL))
    kept = replace(kept, notices=("odd",))
    job = Job(None, ())
    job.arrived, job.started = 10.0, 10.5
    work = Work(samples, (), "en", False, decode_audio_s=0.25)
    asked = {"reason": "r", "flops": 3e9, "reference": FULL, "dims": engine.dimensions}
    bill = bill_request(work, job, [first, kept], kept, **asked)
    assert (bill.point, bill.ran) == (FULL.name, (FIT.name, FULL.name))
    assert (bill.gflops, bill.queue_s, bill.decode_audio_s) == (3.0, 0.5, 0.25)
    assert bill.encode_s == first.encode_s + kept.encode_s
    (segment,) = kept.segments
    heard = predicted_flops(engine.dimensions, segment.end_s - segment.start_s, FULL)
    assert bill.reference_gflops == pytest.approx(heard / 1e9)
    assert bill.reference == FULL.title
    assert (bill.notices, bill.scores, bill.threshold) == (("odd",), (), None)


def test_a_request_that_never_ran_waited_for_nothing_and_would_have_cost_nothing():
    engine = FakeEngine("tiny")
    silent = replace(transcribe_points(engine, tone(2.0, 1), [FIT])[0], segments=(), text="")
    asked = {"reason": "r", "flops": 0.0, "reference": FULL, "dims": engine.dimensions}
    bill = bill_request(Work(tone(2.0, 1), (), "en", False), Job(None, ()), [silent], silent, **asked)
    assert (bill.queue_s, bill.reference_gflops) == (0.0, 0.0)
    assert bill.flags == ("silence",)


def test_the_first_rate_is_measured_on_sound_of_a_known_length():
    noise = warm_up_noise()
    assert noise.shape == (round(WARM_UP_S * SAMPLE_RATE),)
    assert 0.005 < noise.std() < 0.02
