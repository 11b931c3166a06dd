from dataclasses import asdict, replace

import pytest

from allophone.errors import UsageError
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps import idle
from allophone.sweeps.recognition.peak_watch import PeakWatch
from allophone.sweeps.recognition.worker import Settings, Task, measure_task
from builders import tone, write_wav

POINTS = tuple(
    OperatingPoint(model="fake:tiny", **change)
    for change in (
        {},
        {"token_stride": 2},
        {"beam_size": 5},
        {"context": "fit", "margin_s": 1.0},
        {"context": "fit", "margin_s": 1.0, "token_stride": 2},
        {"context": "fit", "margin_s": 1.0, "speed": 1.25},
    )
)
TIMES = {"load_s", "prepare_s", "encode_s", "decode_s", "latency_s", "cpu_s", "load_average", "peak_memory_bytes"}


class Watcher(FakeEngine):
    """Notes what runs, in order."""

    def __init__(self):
        super().__init__("tiny")
        self.ran = []

    def encode(self, mel):
        self.ran.append(f"encode {mel.shape[-1]}")
        return super().encode(mel)

    def decode_batch(self, encoded, **knobs):
        self.ran.append(f"decode {encoded.shape[1]} s{knobs['token_stride']} b{knobs['beam_size']}")
        return super().decode_batch(encoded, **knobs)


class NoWatch(PeakWatch):
    def peaks(self, n_samples, runs):
        return {}


@pytest.fixture(scope="module")
def utterance(tmp_path_factory):
    path = write_wav(tmp_path_factory.mktemp("a") / "a.wav", tone(2.0, 1))
    return Utterance("a", path, 2.0, "amber birch", speaker="s")


def measured(utterance, points=POINTS, twin=None, index=0, watch=None, **settings):
    engine = Watcher()
    task = Task(index, utterance, points, twin)
    return engine.ran, measure_task(engine, task, Settings(**settings), watch or NoWatch())


def test_rows_come_in_the_points_order_and_hold_what_they_would_alone(utterance):
    _, result = measured(utterance)
    assert [row.point for row in result.rows] == [point.name for point in POINTS]
    for point, row in zip(POINTS, result.rows, strict=True):
        alone = measured(utterance, (point,))[1].rows[0]
        assert {k: v for k, v in asdict(row).items() if k not in TIMES} == {
            k: v for k, v in asdict(alone).items() if k not in TIMES
        }


def test_the_order_is_drawn_anew_for_every_utterance_and_the_same_in_every_sitting(utterance):
    orders = [tuple(measured(utterance, index=index, seed=4)[0]) for index in range(30)]
    assert [tuple(measured(utterance, index=index, seed=4)[0]) for index in range(30)] == orders
    assert len(set(orders)) > 15
    assert len({order[1] for order in orders}) >= 5  # decoding first: as good as every point takes its turn
    assert all(sum(step.startswith("encode") for step in order) == 3 for order in orders)  # passes stay shared


def test_the_twin_is_a_point_like_any_other_with_a_pass_of_its_own(utterance):
    ran, result = measured(utterance, twin=POINTS[1])
    assert sum(step.startswith("encode") for step in ran) == 4
    assert sum(step == "decode 1500 s2 b1" for step in ran) == 2
    assert result.twin.point == POINTS[1].name
    assert result.twin.hypothesis == result.rows[1].hypothesis
    assert len(result.rows) == len(POINTS)
    places = set()
    for index in range(40):  # alone with its point it is first as often as not
        ran, result = measured(utterance, POINTS[:2], POINTS[1], index)
        places.add(ran.index("decode 1500 s1 b1"))
    assert len(places) > 2


def test_peaks_are_watched_when_all_is_timed_in_a_pass_of_their_own(utterance, monkeypatch):
    engine = Watcher()
    begun = []

    class Memory:
        def start(self):
            begun.append(len(engine.ran))

        def peak(self):
            return 10 * len(begun)

    monkeypatch.setattr("allophone.sweeps.recognition.peak_watch.PeakMemory", Memory)
    watch = PeakWatch()
    result = measure_task(engine, Task(0, utterance, POINTS[:2], POINTS[0]), Settings(), watch)
    assert begun == [5, 7, 9]  # 2 passes with 3 decodings before, then a pass and a decoding each
    assert [row.peak_memory_bytes for row in (*result.rows, result.twin)] == [10, 20, 30]
    again = measure_task(engine, Task(1, utterance, POINTS[:2], POINTS[0]), Settings(), watch)
    assert [row.peak_memory_bytes for row in (*again.rows, again.twin)] == [None] * 3
    assert len(begun) == 3


def test_a_row_states_processor_time_load_and_threads(utterance, monkeypatch):
    monkeypatch.setattr(idle.os, "getloadavg", lambda: (2.5, 1.0, 0.5))
    row = measured(utterance, threads=3, workers=2)[1].rows[0]
    assert row.cpu_s > 0
    assert (row.load_average, row.threads) == (2.5, 6)
    assert measured(utterance)[1].rows[0].threads == 1  # tiny chooses one
    monkeypatch.delattr(idle.os, "getloadavg")
    assert measured(utterance)[1].rows[0].load_average is None


def test_a_recording_that_cannot_be_read_fails_at_the_twin_too(utterance, tmp_path):
    gone = Utterance("b", tmp_path / "none.wav", 1.0, "x")
    _, result = measured(gone, POINTS[:1], POINTS[0])
    assert result.rows[0].error == result.twin.error is not None


class Fails(FakeEngine):
    def __init__(self, error):
        super().__init__("tiny")
        self.error = error

    def encode(self, mel):
        raise self.error


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory."), MemoryError(), ZeroDivisionError("no"), UnicodeError("bytes")]
)
def test_whatever_an_utterance_raises_is_a_row(utterance, error):
    result = measure_task(Fails(error), Task(3, utterance, POINTS, POINTS[0]), Settings(), NoWatch())
    assert [row.point for row in result.rows] == [point.name for point in POINTS]
    assert {row.error for row in (*result.rows, result.twin)} == {result.twin.error}
    assert "a.wav: " in result.twin.error
    assert (result.index, result.twin.utterance_index) == (3, 3)


def test_what_is_wrong_with_the_run_is_no_row(utterance):
    with pytest.raises(UsageError, match="unknown language"):
        measure_task(Fails(UsageError("unknown language")), Task(0, utterance, POINTS), Settings(), NoWatch())


def test_a_name_that_is_not_utf_8_is_told_in_utf_8(tmp_path):
    path = tmp_path / b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    path.write_bytes(b"RIFFxxxx")
    (row,) = measured(Utterance("u", path, text="x"), POINTS[:1])[1].rows
    assert "caf\\xe9.wav: not readable as audio" in row.error


def test_a_recording_that_is_too_long_is_a_row(utterance):
    (row,) = measured(utterance, POINTS[:1], max_audio_s=1.5)[1].rows
    assert "a.wav: lasts over 1.5 s" in row.error


def test_what_is_odd_about_a_recording_is_in_its_row(utterance):
    assert measured(utterance, POINTS[:1])[1].rows[0].notice is None
    stated = replace(utterance, duration_s=9.0)
    assert "the corpus states 9.0 s and the recording has 2.0 s" in measured(stated, POINTS[:1])[1].rows[0].notice


def test_a_part_of_a_recording_is_measured(utterance):
    part = replace(utterance, offset_s=0.5, duration_s=1.0)
    (row,) = measured(part, POINTS[:1])[1].rows
    assert (row.duration_s, row.error, row.notice) == (1.0, None, None)


def test_a_recording_that_the_reference_model_failed_at_is_a_row(utterance):
    (row,) = measured(replace(utterance, text=None), POINTS[:1], relative_to="base")[1].rows
    assert "base could not transcribe it either" in row.error
