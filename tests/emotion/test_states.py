import pytest

from allophone.corpora.manifest import read_manifest
from builders import write_wav
from emotion_builders import FAMILIES, tiny_model, write_emotions

pytest.importorskip("torch")

import torch

from allophone.emotion.states import FreshStates, pad_clips


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
