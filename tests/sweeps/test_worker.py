from dataclasses import asdict

import pytest

from allophone.models.fake import FakeEngine
from allophone.records import OperatingPoint, Utterance
from allophone.sweeps import worker
from allophone.sweeps.peak_watch import PeakWatch
from allophone.sweeps.worker import Settings, Task, measure_task
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

    monkeypatch.setattr("allophone.sweeps.peak_watch.PeakMemory", Memory)
    watch = PeakWatch()
    result = measure_task(engine, Task(0, utterance, POINTS[:2], POINTS[0]), Settings(), watch)
    assert begun == [5, 7, 9]  # 2 passes with 3 decodings before, then a pass and a decoding each
    assert [row.peak_memory_bytes for row in (*result.rows, result.twin)] == [10, 20, 30]
    again = measure_task(engine, Task(1, utterance, POINTS[:2], POINTS[0]), Settings(), watch)
    assert [row.peak_memory_bytes for row in (*again.rows, again.twin)] == [None] * 3
    assert len(begun) == 3


def test_a_row_states_processor_time_load_and_threads(utterance, monkeypatch):
    monkeypatch.setattr(worker.os, "getloadavg", lambda: (2.5, 1.0, 0.5))
    row = measured(utterance, threads=3, workers=2)[1].rows[0]
    assert row.cpu_s > 0
    assert (row.load_average, row.threads) == (2.5, 6)
    assert measured(utterance)[1].rows[0].threads == 1  # tiny chooses one
    monkeypatch.delattr(worker.os, "getloadavg")
    assert measured(utterance)[1].rows[0].load_average is None


def test_a_recording_that_cannot_be_read_fails_at_the_twin_too(utterance, tmp_path):
    gone = Utterance("b", tmp_path / "none.wav", 1.0, "x")
    _, result = measured(gone, POINTS[:1], POINTS[0])
    assert result.rows[0].error == result.twin.error is not None
