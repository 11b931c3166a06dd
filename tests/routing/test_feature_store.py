import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allophone.errors import CorpusError
from allophone.routing import feature_store
from allophone.routing.feature_store import FEATURES_FOLDER, audio_views, read_recordings, snr_values
from allophone.routing.samples import read_route_samples
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from builders import write_tones
from route_runs import BASE, TINY, write_routed

NAMES = ["fake:tiny", "fake:base"]


@pytest.fixture
def swept(tmp_path):
    space = SearchSpace(model=tuple(NAMES), context=("full",), token_stride=(1,), beam_size=(1,))
    manifest = write_tones(tmp_path / "c", n=6)
    sweep(manifest, out=tmp_path / "r", space=space, plan="grid")
    return manifest, tmp_path / "r"


def test_statistics_are_computed_once_and_kept_beside_the_run(swept, monkeypatch):
    _, run = swept
    samples = read_route_samples([run], NAMES)
    told = []
    first = audio_views(samples, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6)
    assert len(list((run / FEATURES_FOLDER).glob("*.npz"))) == 1
    monkeypatch.setattr(feature_store, "encode_audio", None)  # would fail if asked again
    again = audio_views(samples.take(np.array([4, 1])))
    assert again[0].mel.tolist() == first[4].mel.tolist()
    assert again[1].encoder.tolist() == first[1].encoder.tolist()
    assert again[1].level_range_db == pytest.approx(first[1].level_range_db)


def test_a_corpus_that_lost_an_utterance_is_named(swept):
    manifest, run = swept
    samples = read_route_samples([run], NAMES)
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(CorpusError, match=r"utterance 'u5' of .* is no longer in it"):
        audio_views(samples)


def test_numbers_of_recordings_are_computed_once_whichever_are_asked_for(swept):
    _, run = swept
    samples = read_route_samples([run], NAMES)
    looked = []

    def look(recording):
        looked.append(recording.size)
        return recording.size, 1.0

    some = read_recordings(samples.take(np.array([3, 0])), "sizes.npz", look)
    every = read_recordings(samples, "sizes.npz", look)
    assert len(looked) == len(samples)  # those two were not looked at again
    assert every[[3, 0]].tolist() == some.tolist()
    assert every.shape == (6, 2)


def estimate(run, decibels):
    """Write the ledger's estimates of a run's recordings; all None stand for a run older than them."""
    for path in (run / "measurements").glob("*.parquet"):
        table = pq.read_table(path)
        column = table.schema.get_field_index("snr_db")
        pq.write_table(table.set_column(column, "snr_db", pa.array(decibels, pa.float64())), path)


def test_the_ledger_s_estimate_of_noise_is_taken_where_all_utterances_have_it(tmp_path):
    measured, older = write_routed(tmp_path / "new", 6, 3, prefix="n"), write_routed(tmp_path / "old", 6, 3, prefix="o")
    estimate(measured, [11.0, 3.0, 25.0, -2.0, 8.0, 60.0])
    samples = read_route_samples([measured], [TINY.name, BASE.name])
    assert snr_values(samples.take(np.array([4, 1]))).tolist() == [8.0, 3.0]
    # The other run has neither estimates nor recordings: the two measures are not mixed, so nothing is left.
    assert snr_values(read_route_samples([measured, older], [TINY.name, BASE.name])) is None


def test_loudness_over_noise_is_a_number_or_nothing(swept):
    manifest, run = swept
    samples = read_route_samples([run], NAMES)
    views = audio_views(samples)
    estimate(run, [None] * len(samples))
    assert snr_values(samples) == pytest.approx([view.level_range_db for view in views], abs=1.0)
    (run / FEATURES_FOLDER / "snr.npz").unlink()
    manifest.unlink()
    assert snr_values(samples) is None
