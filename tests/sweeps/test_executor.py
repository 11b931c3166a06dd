import os
import signal

import pytest

from allophone.audio.manifest import read_manifest
from allophone.errors import AllophoneError, UnknownModelError
from allophone.records import OperatingPoint
from allophone.sweeps.executor import LocalExecutor
from allophone.sweeps.worker import Settings, Task
from builders import write_tones

TINY = OperatingPoint(model="fake:tiny")
SMALL = OperatingPoint(model="fake:small")


@pytest.fixture
def tasks(tmp_path):
    utterances = list(read_manifest(write_tones(tmp_path / "c", n=4)))
    return [
        (point.weights_key, Task(index, utterance, (point,)))
        for index, utterance in enumerate(utterances)
        for point in (TINY, SMALL)
    ]


def test_models_take_turns(tasks):
    with LocalExecutor(Settings()) as executor:
        measured = [(result.index, result.rows[0].point) for result in executor.run(tasks)]
    assert measured == [(task.index, task.points[0].name) for _, task in tasks]


def test_no_more_workers_are_busy_than_allowed(tasks):
    with LocalExecutor(Settings(threads=1), parallel=2) as executor:
        most = 0
        for _ in executor.run(tasks):
            most = max(most, sum(worker.busy for worker in executor._workers.values()))
    assert most <= 2


def test_a_worker_that_dies_is_an_error_that_says_how_to_go_on(tasks):
    with LocalExecutor(Settings()) as executor:
        results = executor.run(tasks)
        next(results)
        for worker in executor._workers.values():
            os.kill(worker.process.pid, signal.SIGKILL)
        with pytest.raises(AllophoneError, match=r"ended unexpectedly \(exit code -9.*the same command continues"):
            list(results)


def test_a_model_that_cannot_be_loaded_is_the_models_own_error(tasks):
    bad = OperatingPoint(model="fake:huge")
    with LocalExecutor(Settings()) as executor, pytest.raises(UnknownModelError, match="unknown model 'huge'"):
        list(executor.run([(bad.weights_key, tasks[0][1])]))


def test_stopping_ends_all_processes(tasks):
    executor = LocalExecutor(Settings())
    list(executor.run(tasks[:2]))
    processes = [worker.process for worker in executor._workers.values()]
    executor.stop()
    assert [process.is_alive() for process in processes] == [False, False]
