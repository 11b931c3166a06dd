import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.whisper import whisper_dimensions
from allophone.routing import feature_store
from allophone.routing.calibration import policy_samples
from allophone.routing.evaluation import evaluate_policy
from allophone.routing.policy_file import read_policy
from allophone.routing.published.policy import PublishedDecider, decider_flops, encoder_point
from allophone.routing.published.training import train_faithful
from allophone.routing.replay import replay
from allophone.routing.samples import encoder_flops
from allophone.routing.transcriber import load_policy

NAMES = ["tiny.en-fit+1tall-x2-s1-int8-b1", "tiny.en-fit+1tall-s1-int8-b1"]
DIMS = whisper_dimensions("tiny.en")


@pytest.fixture(scope="module", params=["small", "big", "log-mel"])
def folder(request, spoken, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "policy"
    train_faithful([spoken / "train"], NAMES, out, encoder=request.param, epochs=1, hold_out=0, force=True)
    return out


def middle(folder, spoken):
    router, samples, _ = policy_samples(folder, [spoken / "test"])
    return router, samples, float(np.median(router.scores(samples)))


def test_a_running_policy_does_what_its_replay_says(folder, spoken, speech):
    router, samples, threshold = middle(folder, spoken)
    outcome = replay(samples, router, threshold)
    assert 0 < outcome.reached.sum() < len(samples)
    policy = read_policy(folder)
    running = load_policy(folder, threshold=threshold, threads=1)
    for place, utterance in enumerate(samples.utterances):
        recording = speech[int(utterance[1:])]
        found = running.transcribe(recording.path)
        reached = int(outcome.reached[place])
        assert found.scores[0] == pytest.approx(router.scores(samples)[0, place], abs=1e-6)
        assert found.ran == (NAMES[reached],)
        # what is billed is all that ran: the point, the decider, and an encoder whose work the point does not take up
        looked = PublishedDecider(policy, folder).look(load_audio(recording.path))
        expected = transcript_flops(DIMS, found.transcript).total
        expected += decider_flops(DIMS, looked.frames, reads_encoder=policy.reads != "mel")
        if policy.reads != "mel" and reached != encoder_point(policy):
            expected += round(encoder_flops(DIMS, looked.frames))
        assert found.executed_flops == expected
        assert found.executed_flops == pytest.approx(outcome.flops[place], rel=0.05)
        assert found.seconds >= found.transcript.latency_s


def test_the_transcript_is_that_of_the_point(folder, spoken, speech):
    """Where the encoder's work is taken up the decoder reads float32 states; the words stay those of int8 here."""
    running = load_policy(folder, threshold=-1.0, threads=1)
    _, samples, _ = policy_samples(folder, [spoken / "test"])
    for place, utterance in enumerate(samples.utterances):
        found = running.transcribe(speech[int(utterance[1:])].path)
        assert found.transcript.text == samples.readings[1][place].text


def test_what_it_said_is_kept_beside_the_run(folder, spoken, monkeypatch):
    first, samples, _ = policy_samples(folder, [spoken / "test"])
    monkeypatch.setattr(feature_store, "load_utterance", None)  # would fail if asked again
    again, _, _ = policy_samples(folder, [spoken / "test"])
    assert again.scores(samples).tolist() == first.scores(samples).tolist()
    part = again.on(np.array([2, 0]))
    assert part.scores(samples)[0].tolist() == first.scores(samples)[0, [2, 0]].tolist()


def test_evaluation_stands_where_asked_and_charges_the_order(folder, spoken):
    found = {
        threshold: evaluate_policy(folder, [spoken / "test"], threshold=threshold, n_replicates=20).results[0]
        for threshold in (-1.0, 2.0)
    }
    assert found[-1.0].policy.share_escalated == 1
    assert found[2.0].policy.share_escalated == 0
    names = [item.name for item in found[2.0].flops]
    assert names[0].startswith("faithful on ")
    assert "snr" in names
    reads = read_policy(folder).reads
    if reads == "big_encoder":  # both ways the dear encoder ran; only when it climbs is it of use
        assert found[-1.0].policy.flops_of_last == pytest.approx(1, abs=0.05)
        assert found[2.0].policy.flops_of_last > 0.8
    if reads == "mel":  # the cheap point and the decider are all that ran
        cheap = found[2.0].fixed[0][2]
        assert cheap < found[2.0].policy.gflops.estimate < cheap + 0.4


def test_audio_without_a_window_stays_below(folder):
    looked = PublishedDecider(read_policy(folder), folder).look(np.zeros(100 * 16_000, np.float32))
    assert (looked.probability, looked.frames) == (0.0, ())


def test_long_audio_is_decided_as_one(folder, speech):
    decider = PublishedDecider(read_policy(folder), folder)
    long = np.concatenate([recording.samples for recording in speech] * 3)
    looked = decider.look(long)
    assert len(looked.frames) > 1
    assert 0 < looked.probability < 1
