import pytest

from allophone.corpora.corpus import open_corpus
from allophone.frontier.summarise import summarise_run
from allophone.records.point import OperatingPoint
from allophone.sweeps.recognition.forecast import predict
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.recognition.worker import Settings
from allophone.sweeps.space import SearchSpace
from builders import write_tones

FULL = OperatingPoint(model="fake:tiny")
FIT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1)
STRIDED = OperatingPoint(model="fake:tiny", token_stride=2)


def test_shared_encoder_passes_are_timed_once(tmp_path):
    corpus = open_corpus(write_tones(tmp_path / "c", n=3))
    full, strided, fit = predict(corpus, 3, [FULL, STRIDED, FIT], Settings())
    assert full.engine_s > 0
    assert strided.engine_s < full.engine_s
    assert fit.executed_gflops < full.executed_gflops / 5  # 2 to 3 s of 30 s


def test_the_prediction_is_near_what_then_runs(tmp_path):
    manifest = write_tones(tmp_path / "c", n=4)
    space = SearchSpace(model=("fake:tiny",), context=("full",), token_stride=(1,), beam_size=(1,))
    sweep(manifest, out=tmp_path / "r", space=space)
    (measured,) = summarise_run(tmp_path / "r").points
    (predicted,) = predict(open_corpus(manifest), 4, [FULL], Settings())
    assert predicted.executed_gflops == pytest.approx(4 * measured.executed_gflops, rel=0.1)


def test_lengths_that_the_corpus_does_not_state_are_read_from_the_files(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    stated = predict(open_corpus(manifest), 3, [FIT], Settings())
    manifest.write_text(manifest.read_text().replace('"duration"', '"unused"'))
    unstated = predict(open_corpus(manifest), 3, [FIT], Settings())
    assert unstated[0].executed_gflops == pytest.approx(stated[0].executed_gflops)


def test_unreadable_recordings_still_get_a_plan_without_times(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2)
    for path in (tmp_path / "c/audio").iterdir():
        path.unlink()
    (prediction,) = predict(open_corpus(manifest), 2, [FULL], Settings())
    assert prediction.engine_s is None
    assert prediction.executed_gflops > 0
