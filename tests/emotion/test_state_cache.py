import os
import shutil
from collections import namedtuple

import numpy as np
import pytest

from allophone.corpora.manifest import read_manifest
from allophone.errors import CorpusError, LedgerError, SpaceError, UsageError
from allophone.records.utterance import Utterance
from builders import small_files, write_wav
from emotion_builders import FAMILIES, tiny_model, write_emotions

pytest.importorskip("torch")

import torch

from allophone.costs.adaptation import frozen_flops
from allophone.emotion import state_cache as emotion_cache
from allophone.emotion.state_cache import CachedStates
from allophone.emotion.states import FreshStates


@pytest.fixture
def utterances(tmp_path):
    manifest = write_emotions(tmp_path / "c", n_speakers=2)
    write_wav(manifest.parent / "audio/1-low-0.wav", [0.0] * 5000)
    return list(read_manifest(manifest))


def cached(model, utterances, root, **knobs):
    return CachedStates(model, utterances, "f", 0.3, root=root, **knobs)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("unfrozen", [0, 1, 3])
def test_cached_states_are_the_fresh_ones_in_half_precision(name, unfrozen, utterances, tmp_path):
    model = tiny_model(name, unfrozen=unfrozen)
    fresh, cache = FreshStates(model, utterances, 0.3), cached(model, utterances, tmp_path / "s")
    rows = [row for row in range(len(utterances)) if row not in fresh.failures]
    assert cache.failures == fresh.failures
    assert [cache.tokens(row) for row in rows] == [fresh.tokens(row) for row in rows]
    assert [cache.samples(row) for row in rows] == [fresh.samples(row) for row in rows]
    if unfrozen == 0:
        pairs = zip(cache.moments(rows), fresh.moments(rows), strict=True)
    else:
        (ours, inside), (theirs, same) = cache.lower(rows), fresh.lower(rows)
        assert torch.equal(inside, same)
        pairs = zip([s.float() * inside[..., None] for s in ours], [s * inside[..., None] for s in theirs], strict=True)
    for our, their in pairs:
        torch.testing.assert_close(our.float(), their, atol=5e-3, rtol=2e-3)


def test_a_second_model_reads_what_the_first_one_left(utterances, tmp_path, monkeypatch):
    first = cached(tiny_model(unfrozen=1), utterances, tmp_path / "s")
    tokens = sum(first.tokens(row) for row in range(len(utterances)))
    assert first.total_tokens == tokens
    dims = tiny_model().encoder.dimensions
    assert first.frozen_flops >= frozen_flops(dims, tokens=1, layers=2) * tokens
    monkeypatch.setattr(emotion_cache, "load_clip", None)  # the audio is not read again, whatever the depth
    assert cached(tiny_model(unfrozen=1), utterances, tmp_path / "s").frozen_flops == 0
    assert cached(tiny_model(unfrozen=2), utterances, tmp_path / "s").frozen_flops == 0
    assert cached(tiny_model(rank=2), utterances, tmp_path / "s").frozen_flops == 0
    assert cached(tiny_model(), utterances, tmp_path / "s").frozen_flops > 0  # a probe's moments are new
    assert cached(tiny_model(), utterances, tmp_path / "s").frozen_flops == 0


def test_other_weights_and_other_corpora_have_their_own(utterances, tmp_path):
    folders = {
        cached(tiny_model("hubert"), utterances, tmp_path / "s").folder,
        cached(tiny_model("wav2vec2"), utterances, tmp_path / "s").folder,
        CachedStates(tiny_model("hubert"), utterances, "g", 0.3, root=tmp_path / "s").folder,
        CachedStates(tiny_model("hubert"), utterances, "f", 0.2, root=tmp_path / "s").folder,
    }
    assert len(folders) == 4


def test_a_recording_that_changed_is_read_again(utterances, tmp_path):
    before = cached(tiny_model(unfrozen=1), utterances, tmp_path / "s").lower([0])[0][0]
    path = utterances[0].audio_filepath
    size = path.stat().st_size
    write_wav(path, 0.5 * np.sin(np.arange((size - 44) // 2)))
    assert path.stat().st_size == size
    after = cached(tiny_model(unfrozen=1), utterances, tmp_path / "s").lower([0])[0][0]
    assert not torch.equal(before, after)


def test_a_killed_filling_leaves_nothing_that_is_believed(utterances, tmp_path):
    def kill(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tiny_model(unfrozen=1), utterances, tmp_path / "s", progress=kill)
    shares = []
    again = cached(tiny_model(unfrozen=1), utterances, tmp_path / "s", progress=shares.append)
    whole = cached(tiny_model(unfrozen=1), utterances, tmp_path / "t")
    assert shares[-1] == 1
    assert all(torch.equal(a, b) for a, b in zip(again.lower([0])[0], whole.lower([0])[0], strict=True))


def test_states_that_half_precision_cannot_hold(utterances, tmp_path):
    model = tiny_model(unfrozen=1)
    with torch.no_grad():
        model.encoder.module.layers[0].fc2.bias.fill_(1e6)
    with pytest.raises(SpaceError, match="without the cache"):
        cached(model, utterances, tmp_path / "s")


def test_a_full_disk_is_said_before_it_is_filled(utterances, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 10))
    with pytest.raises(UsageError, match="ALLOPHONE_CACHE"):
        cached(tiny_model(unfrozen=1), utterances, tmp_path / "s")


def test_a_corpus_of_silence(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros(8000))
    with pytest.raises(CorpusError, match=r"no recording can be used.*silent throughout"):
        cached(tiny_model(), [Utterance("a", path)], tmp_path / "s")


def test_moments_are_for_probes(utterances, tmp_path):
    with pytest.raises(SpaceError, match="for probes only"):
        cached(tiny_model(unfrozen=1), utterances, tmp_path / "s").moments([0])
    assert torch.isfinite(cached(tiny_model(), utterances, tmp_path / "s").moments([0])[1]).all()


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
@pytest.mark.parametrize("unfrozen", [0, 1])
@pytest.mark.parametrize("n_bytes", [0, 1000])
def test_a_full_disk_is_an_error_that_leaves_nothing_half_written(unfrozen, n_bytes, utterances, tmp_path):
    model = tiny_model("whisper", unfrozen=unfrozen)
    with small_files(n_bytes), pytest.raises(LedgerError, match="cannot be written: File too large"):
        cached(model, utterances, tmp_path / "s")
    (folder,) = (tmp_path / "s").iterdir()
    assert not [path.name for path in folder.iterdir() if path.name.rpartition(".")[2].isdigit()]
    cached(model, utterances, tmp_path / "s")
