import numpy as np
import pytest
import torch

from allophone.corpora.manifest import read_manifest
from allophone.emotion.states import FreshStates, check_audible, load_clip, pad_clips
from allophone.errors import AudioError
from allophone.records.utterance import Utterance
from builders import tone, write_wav
from emotion_builders import FAMILIES, tiny_model, write_emotions


def clip(folder, samples, **part):
    return Utterance("a", write_wav(folder / "a.wav", samples), **part)


def test_a_part_of_a_recording(tmp_path):
    whole = clip(tmp_path, tone(2.0, 1))
    part = clip(tmp_path, tone(2.0, 1), offset_s=0.5, duration_s=1.0)
    np.testing.assert_array_equal(load_clip(part, 3.0), load_clip(whole, 3.0)[8_000:24_000])


def test_the_first_seconds_or_all_there_is(tmp_path):
    path = clip(tmp_path, tone(2.0, 1))
    assert load_clip(path, 1.5).shape == (24_000,)
    assert load_clip(path, 3.0).shape == (32_000,)
    np.testing.assert_array_equal(load_clip(path, 1.5), load_clip(path, 3.0)[:24_000])


@pytest.mark.parametrize(("level", "audible"), [(0.0, False), (2**-14, False), (2**-12, True)])
def test_silence_is_refused(tmp_path, level, audible):
    path = clip(tmp_path, np.full(1600, level))
    if audible:
        assert load_clip(path, 1.0).size == 1600
        return
    with pytest.raises(AudioError, match=r"a\.wav: silent throughout"):
        load_clip(path, 1.0)


def test_zero_length_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"no audio at all|truncated"):
        load_clip(clip(tmp_path, np.zeros(0)), 1.0)
    with pytest.raises(AudioError, match="silent"):
        check_audible(np.zeros(0, np.float32), "x")


@pytest.mark.parametrize(("n_samples", "audible"), [(10, False), (1599, False), (1600, True)])
def test_a_tenth_of_a_second_is_the_least(tmp_path, n_samples, audible):
    path = clip(tmp_path, np.full(n_samples, 0.5))
    if audible:
        assert load_clip(path, 0.05).size == 800  # of the recording, not of what is heard of it
        return
    duration = rf"{n_samples / 16:.1f} ms"
    with pytest.raises(AudioError, match=rf"a\.wav: too short \({duration}\): an emotion needs at least 0\.1 s"):
        load_clip(path, 1.0)


def test_a_quiet_beginning_is_no_silence(tmp_path):
    samples = np.concatenate([np.zeros(16_000), 0.5 * np.ones(1600)])
    assert abs(load_clip(clip(tmp_path, samples), 1.0)).max() == 0


pytest.importorskip("torch")


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    manifest = write_emotions(tmp_path_factory.mktemp("c"), n_speakers=2)
    write_wav(manifest.parent / "audio/1-low-0.wav", [0.0] * 5000)
    (manifest.parent / "audio/1-low-1.wav").write_bytes(b"")
    return list(read_manifest(manifest))


def test_padding():
    padded, inside = pad_clips([torch.ones(2, 3), torch.ones(4, 3)])
    assert padded.sum(2).tolist() == [[3, 3, 0, 0], [3, 3, 3, 3]]
    assert inside.tolist() == [[True, True, False, False], [True] * 4]
    assert pad_clips([torch.ones(2, 3)] * 2)[1] is None


@pytest.mark.parametrize("name", FAMILIES)
def test_states_of_a_batch(name, utterances):
    model = tiny_model(name, unfrozen=1)
    source = FreshStates(model, utterances, 0.4)
    lower, inside = source.lower([0, 1, 2])
    assert len(lower) == 3  # states 0 to 2 lie below the one trained layer
    for place, row in enumerate([0, 1, 2]):
        alone, _ = source.lower([row])
        tokens = source.tokens(row)
        assert int(inside[place].sum()) == tokens == alone[0].shape[1]
        assert 0 < source.samples(row) <= 6400
        for joint, single in zip(lower, alone, strict=True):
            torch.testing.assert_close(joint[place, :tokens], single[0], atol=2e-5, rtol=2e-5)


def test_recordings_that_cannot_be_used_are_named(utterances):
    failures = FreshStates(tiny_model(), utterances, 0.3).failures
    places = {utterance.id: row for row, utterance in enumerate(utterances)}
    assert set(failures) == {places["1-low-0"], places["1-low-1"]}
    assert "silent" in failures[places["1-low-0"]]
    assert "empty" in failures[places["1-low-1"]]


def test_what_a_library_raises_at_a_recording_is_its_failure(utterances):
    model = tiny_model()
    front, lengths = model.front, []

    def fails_once(clip):
        lengths.append(len(clip))
        if len(lengths) == 2:
            raise RuntimeError("out of memory")
        return front(clip)

    model.front = fails_once
    failures = FreshStates(model, utterances, 0.3).failures
    (named,) = (reason for reason in failures.values() if "RuntimeError" in reason)
    assert "cannot be processed (RuntimeError: out of memory)" in named
    assert len(lengths) == len(utterances) - 2  # the others were read


def test_moments_are_those_of_the_states(utterances):
    from allophone.emotion.head import state_moments

    source = FreshStates(tiny_model(), utterances, 0.3)
    for ours, theirs in zip(source.moments([0, 1]), state_moments(*source.lower([0, 1])), strict=True):
        assert torch.equal(ours, theirs)
