import os
import signal
from dataclasses import replace

import pytest

from allophone.corpora.manifest import read_manifest
from allophone.errors import AllophoneError, UnknownModelError
from allophone.records.point import OperatingPoint
from allophone.sweeps.recognition.executor import LocalExecutor
from allophone.sweeps.recognition.worker import Settings, Task
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


class Deadly:
    """Ends the process that reads it, as a recording may that makes a worker take all memory."""

    def __init__(self, marker=None):
        self.marker = marker

    def __reduce__(self):
        if self.marker is None:
            return os._exit, (7,)
        place = repr(self.marker)
        return exec, (f"import os\nos.path.exists({place}) or (open({place}, 'w'), os._exit(7))",)


def deadly(item, marker=None):
    key, task = item
    return key, replace(task, utterance=replace(task.utterance, label=Deadly(marker)))


def test_workers_that_die_between_utterances_are_started_again(tasks):
    with LocalExecutor(Settings()) as executor:
        results = executor.run(tasks)
        measured = [next(results)]
        for worker in executor._workers.values():
            if not worker.busy:
                os.kill(worker.process.pid, signal.SIGKILL)
        measured += results
    assert [(result.index, result.rows[0].error) for result in measured] == [(task.index, None) for _, task in tasks]


@pytest.mark.parametrize("parallel", [1, 2])
def test_an_utterance_that_a_worker_dies_of_once_is_measured(tasks, tmp_path, parallel):
    tasks[2] = deadly(tasks[2], str(tmp_path / "died"))
    with LocalExecutor(Settings(threads=1), parallel) as executor:
        measured = list(executor.run(tasks))
    assert (tmp_path / "died").exists()
    assert sorted(result.index for result in measured) == [task.index for _, task in tasks]
    assert all(result.rows[0].error is None for result in measured)


@pytest.mark.parametrize(("parallel", "place"), [(1, 0), (1, 7), (2, 3)])
def test_an_utterance_that_workers_die_of_twice_is_an_error_row(tasks, parallel, place):
    tasks[place] = deadly(tasks[place])
    with LocalExecutor(Settings(threads=1), parallel) as executor:
        measured = list(executor.run(tasks))
    wanted = tasks[place][1]
    failed = [result for result in measured if result.rows[0].error]
    assert [(result.index, result.rows[0].point) for result in failed] == [(wanted.index, wanted.points[0].name)]
    assert "ended twice (exit code 7" in failed[0].rows[0].error
    assert len(measured) == len(tasks)
    if parallel == 1:
        assert [result.index for result in measured] == [task.index for _, task in tasks]


@pytest.mark.parametrize("n_sound", [0, 2])
def test_a_machine_that_kills_every_worker_is_an_error_that_says_how_to_go_on(tasks, n_sound):
    tasks[n_sound:] = [deadly(item) for item in tasks[n_sound:]]
    measured = []
    with (
        LocalExecutor(Settings()) as executor,
        pytest.raises(AllophoneError, match=r"ended unexpectedly \(exit code 7.*the same command continues"),
    ):
        measured.extend(executor.run(tasks))
    assert all(result.rows[0].error is None for result in measured)


def test_one_utterance_alone_that_kills_is_an_error(tasks):
    with LocalExecutor(Settings()) as executor, pytest.raises(AllophoneError, match="ended unexpectedly"):
        list(executor.run([deadly(tasks[0])]))


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
