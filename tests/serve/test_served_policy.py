"""A policy behind the service: what ran, by which score, and when it stops."""

import numpy as np
import pytest

from allophone.routing.regression import Candidate
from allophone.routing.training import train_policy
from allophone.routing.transcriber import load_policy
from allophone.serve.request import Work
from allophone.serve.served_policy import ServedPolicy
from allophone.serve.work_queue import CancelledError
from builders import write_wav
from route_runs import BASE, TINY, write_routed
from serve_live import live_server, sound


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
