import json

import pytest

from allophone.corpora.corpus import open_corpus
from allophone.errors import AudioError, LedgerError, SpaceError, UsageError
from allophone.frontier.summarise import summarise_run
from allophone.ledger.race_record import Elimination, write_race
from allophone.ledger.throughput_record import THROUGHPUT_FILE, read_throughput, writing
from allophone.records.point import OperatingPoint
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.recognition.throughput import _sample, measure_throughput
from builders import run_record, write_run, write_tones

POINTS = [
    OperatingPoint(model=f"fake:{model}", context=context) for model in ("tiny", "small") for context in ("full", "fit")
]
N_POINTS = len(POINTS)
SECONDS = [1.0, 1.5, 2.0, 2.5, 1.0, 1.5]  # of the tones


def write_swept(folder, corpus, points, **changed):
    """A run of the corpus as a sweep leaves it, the changes being those of recording 1."""
    summary = open_corpus(corpus).scan()
    rows = [{"duration_s": seconds} for seconds in SECONDS[: summary.n_utterances]]
    rows[1] |= changed
    return write_run(folder, dict.fromkeys(points, rows), fingerprint=summary.fingerprint)


@pytest.fixture
def swept(tmp_path):
    corpus = write_tones(tmp_path / "c", n=6)
    return corpus, write_swept(tmp_path / "r", corpus, POINTS)


def counted(record):
    return sorted((one.round, one.point) for one in record.passes)


def test_every_point_is_measured_in_every_round_on_all_recordings(swept):
    corpus, run = swept
    record = measure_throughput(corpus, out=run, rounds=2)
    names = sorted(point.name for point in summarise_run(run).points)
    assert len(names) == N_POINTS
    assert counted(record) == [(turn, name) for turn in range(2) for name in names]
    assert record.utterances == (0, 1, 2, 3, 4, 5)
    assert record.audio_s == pytest.approx(9.5)
    assert {(one.workers, one.batch_size) for one in record.passes} == {(2, 1)}  # the fake engine's replicas
    assert all(one.wall_s > 0 for one in record.passes)
    assert read_throughput(run) == record
    first = {point.name: point for point in summarise_run(run).points}[record.passes[0].point]
    walls = [one.wall_s for one in record.passes if one.point == first.name]
    assert first.rtf_throughput == pytest.approx(sum(walls) / 2 / 9.5)


def test_points_take_turns_and_those_of_a_model_follow_each_other(swept):
    corpus, run = swept
    record = measure_throughput(corpus, out=run, rounds=4)
    assert [one.round for one in record.passes] == [turn for turn in range(4) for _ in range(N_POINTS)]
    for turn in range(4):
        models = [one.point.split("-")[0] for one in record.passes if one.round == turn]
        assert models in (["fake.tiny"] * 2 + ["fake.small"] * 2, ["fake.small"] * 2 + ["fake.tiny"] * 2)
    orders = {tuple(one.point for one in record.passes if one.round == turn) for turn in range(4)}
    assert len(orders) > 1


def test_jobs_and_batch_size_are_what_was_asked(swept):
    corpus, run = swept
    record = measure_throughput(corpus, out=run, jobs=3, batch_size=2, rounds=1)
    assert {(one.workers, one.batch_size) for one in record.passes} == {(3, 2)}


def test_what_was_stopped_goes_on_and_nothing_is_measured_twice(swept):
    corpus, run = swept

    def stop(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_throughput(corpus, out=run, rounds=2, progress=stop)
    before = read_throughput(run).passes
    assert len(before) == 3
    seen = []
    record = measure_throughput(corpus, out=run, rounds=2, progress=seen.append)
    assert record.passes[:3] == before
    assert len(set(counted(record))) == len(record.passes) == 2 * N_POINTS
    assert [(one.stage, one.done, one.total) for one in seen] == [("throughput", done, 8) for done in range(4, 9)]
    # Asked again there is nothing to do; more rounds add to what is there.
    assert measure_throughput(corpus, out=run, rounds=2) == record
    assert measure_throughput(corpus, out=run, rounds=3).passes[:8] == record.passes


def test_added_points_are_measured_on_the_same_recordings(swept):
    corpus, run = swept
    record = measure_throughput(corpus, out=run, minutes=0.05, rounds=1)
    write_swept(run, corpus, [*POINTS, OperatingPoint(model="fake:tiny", beam_size=2)])
    more = measure_throughput(corpus, out=run, minutes=0.05, rounds=1)
    assert more.passes[:N_POINTS] == record.passes
    assert [one.point for one in more.passes[N_POINTS:]] == ["fake.tiny-full-s1-int8-b2"]
    assert more.utterances == record.utterances


def test_a_large_corpus_is_sampled(swept):
    corpus, run = swept
    record = measure_throughput(corpus, out=run, minutes=4 / 60, rounds=1)
    assert record.audio_s == pytest.approx(sum(SECONDS[place] for place in record.utterances))
    assert 1 <= len(record.utterances) < 6
    assert record.audio_s <= 4


def test_one_recording_longer_than_all_the_time_is_still_one(tmp_path):
    point = OperatingPoint(model="tiny.en")
    run = write_run(tmp_path / "r", {point: [{"duration_s": 7200.0}] * 3})
    places, seconds = _sample(run, run_record([point], 3), [point], 3.0)
    assert (len(places), seconds) == (1, 7200.0)


def test_recordings_that_cannot_be_read_are_left_out(tmp_path):
    corpus = write_tones(tmp_path / "c", n=4)
    (tmp_path / "c/audio/u1.wav").write_bytes(b"nothing")
    run = write_swept(tmp_path / "r", corpus, POINTS, duration_s=0.0, error="cannot be decoded")
    assert measure_throughput(corpus, out=run, rounds=1).utterances == (0, 2, 3)


def test_a_recording_that_vanished_stops_it_by_name(swept):
    corpus, run = swept
    path = corpus.parent / "audio/u3.wav"
    path.write_bytes(b"\0" * path.stat().st_size)  # of the same size, so that the corpus seems the same
    with pytest.raises(AudioError, match=r"u3\.wav"):
        measure_throughput(corpus, out=run)


@pytest.mark.parametrize("changed", [{"jobs": 2}, {"batch_size": 4}, {"minutes": 1.0}])
def test_other_settings_are_refused_and_the_file_is_named(swept, changed):
    corpus, run = swept
    measure_throughput(corpus, out=run, rounds=1)
    with pytest.raises(LedgerError, match=rf"{THROUGHPUT_FILE}: .* with {next(iter(changed))} .*delete the file"):
        measure_throughput(corpus, out=run, **changed)


def test_another_corpus_or_machine_is_refused(swept, tmp_path):
    corpus, run = swept
    with pytest.raises(LedgerError, match="the corpus is not the one"):
        measure_throughput(write_tones(tmp_path / "other", n=3), out=run)
    fields = json.loads((run / "run.json").read_text())
    fields["machine"]["cores"] = 999
    (run / "run.json").write_text(json.dumps(fields))
    with pytest.raises(LedgerError, match="measured on 999 cores"):
        measure_throughput(corpus, out=run)


def test_a_run_that_another_process_writes_is_left_alone(swept):
    corpus, run = swept
    with writing(run), pytest.raises(LedgerError, match="another sweep is writing"):
        measure_throughput(corpus, out=run)


@pytest.mark.parametrize("wrong", [{"jobs": -1}, {"batch_size": -1}, {"minutes": 0}, {"rounds": 0}])
def test_impossible_settings_are_refused(swept, wrong):
    with pytest.raises(UsageError, match="throughput with"):
        measure_throughput(swept[0], out=swept[1], **wrong)


def test_points_that_a_race_gave_up_are_left_out(swept):
    corpus, run = swept
    gone = Elimination(POINTS[2].name, 6, POINTS[0].name, 0.99, 0.3, 1.0)
    write_race(run, 1, [gone])
    record = measure_throughput(corpus, out=run, rounds=1)
    assert {one.point for one in record.passes} == {point.name for point in POINTS} - {gone.point}


def test_no_search_judges_by_what_is_measured_behind_it(tmp_path):
    with pytest.raises(SpaceError, match="cannot judge by rtf_throughput"):
        sweep(
            write_tones(tmp_path / "c", n=2),
            out=tmp_path / "r",
            models=["fake:tiny"],
            plan="race",
            cost="rtf_throughput",
        )
