from itertools import count
from pathlib import Path

import numpy as np
import pytest

from allophone.errors import SpaceError
from allophone.frontier.summarise import summarise_run
from allophone.ledger.ledger import Ledger
from allophone.ledger.race_record import read_race
from allophone.ledger.readers import connect
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.recognition.race_loop import run_race
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.recognition.worker import TaskResult
from allophone.sweeps.space import SearchSpace
from builders import measurement, run_record, write_tones

N = 100
CORPUS = [Utterance(f"u{index}", Path("x"), speaker=f"s{index % 25}") for index in range(N)]
POINTS = [OperatingPoint(model="tiny.en", beam_size=beams) for beams in (1, 2, 3, 4, 5, 6)]


def row(point, index):
    """Dearer points are better up to three beams and no better from there on; each costs its beams in seconds."""
    rate = 0.4 - 0.1 * min(point.beam_size, 3)
    errors = int(np.random.default_rng((index, point.beam_size)).binomial(10, rate))
    changes = {"hits": 10 - errors, "substitutions": errors, "speaker": f"s{index % 25}"}
    return measurement(point, index, latency_s=float(point.beam_size), **changes)


def race(folder, spend=None, stop_after=None):
    """Race without an engine; return seconds spent in this sitting and rows given up."""
    spent, given_up, left = [], [], count(1)

    def measure(tasks):
        for _, task in tasks:
            if stop_after is not None and next(left) > stop_after:
                raise KeyboardInterrupt
            rows = [row(point, task.index) for point in task.points]
            ledger.append(rows)
            spent.extend(item.latency_s for item in rows)

    with Ledger(folder, run_record(POINTS, N, plan="race", cost="rtf")) as ledger:
        run_race(CORPUS, POINTS, folder, "rtf", ledger, measure, given_up.append, spend=spend)
    return sum(spent), sum(given_up)


def rows_of(folder):
    with connect(folder) as connection:
        return dict(connection.execute("SELECT point, count(*) FROM measurements GROUP BY 1").fetchall())


WHOLE_S = N * sum(range(1, 7))  # 2100 s: a hundred utterances at 1 to 6 s


def test_what_pays_stays_and_what_does_not_is_given_up(tmp_path):
    spent, given_up = race(tmp_path / "r")
    counts = rows_of(tmp_path / "r")
    assert {name for name, rows in counts.items() if rows == N} >= {point.name for point in POINTS[:3]}
    gone = {item.point for item in read_race(tmp_path / "r")[1]}
    assert {POINTS[4].name, POINTS[5].name} <= gone
    assert spent < 0.7 * WHOLE_S
    assert sum(counts.values()) + given_up == 6 * N


@pytest.mark.parametrize("spend", [0.25, 0.4])
def test_a_race_keeps_to_what_it_may_spend(tmp_path, spend):
    spent, given_up = race(tmp_path / "r", spend)
    assert (spend - 0.01) * WHOLE_S < spent <= spend * WHOLE_S  # every utterance costs the same here
    counts, summary = rows_of(tmp_path / "r"), summarise_run(tmp_path / "r")
    assert sum(counts.values()) + given_up == 6 * N
    (shared,) = {counts[point.name] for point in summary.points}  # survivors share all their utterances
    assert f"survivors have {shared} of 100 utterances" in " ".join(summary.notices)
    assert not any("in progress" in notice for notice in summary.notices)
    assert race(tmp_path / "r", spend) == (0, given_up)


def test_a_race_whose_time_was_spent_goes_on_when_it_may_spend_more(tmp_path):
    race(tmp_path / "r", 0.3)
    race(tmp_path / "r")
    race(tmp_path / "straight")
    assert rows_of(tmp_path / "r") == rows_of(tmp_path / "straight")
    assert read_race(tmp_path / "r") == read_race(tmp_path / "straight")


def test_the_first_look_is_always_taken(tmp_path):
    spent, _ = race(tmp_path / "r", 0.05)
    assert spent == 0.2 * WHOLE_S  # 20 utterances of every point: fewer are not to be trusted


def test_a_stopped_race_spends_no_more_than_one_that_was_not(tmp_path):
    race(tmp_path / "straight", 0.3)
    for stop in (12, 5):
        with pytest.raises(KeyboardInterrupt):
            race(tmp_path / "r", 0.3, stop_after=stop)
    race(tmp_path / "r", 0.3)
    assert rows_of(tmp_path / "r") == rows_of(tmp_path / "straight")


@pytest.mark.parametrize("spend", [0, -0.1, 1.5])
def test_a_spend_that_is_no_share_is_refused(tmp_path, spend):
    with pytest.raises(SpaceError, match="the share of the whole grid's engine time"):
        race(tmp_path / "r", spend)


class Recorded:
    """An executor that answers from a rule instead of a model."""

    def __init__(self, settings, workers):
        self.settings, self.workers = settings, workers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, tasks):
        for key, task in tasks:
            assert key == task.points[0].weights_key
            yield TaskResult(task.index, [measurement(point, task.index) for point in task.points], 0.5)


def test_a_sweep_measures_through_the_executor_it_is_given_only_what_is_kept(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    space = SearchSpace(model=("fake:tiny",), context=("full",), token_stride=(1, 2, 3), beam_size=(1, 5))
    asked = {"plan": "grid", "space": space, "executor": Recorded}
    result = sweep(manifest, out=tmp_path / "r", keep=lambda point: point.token_stride != 2, **asked)
    assert (result.points, result.rows, result.engine_s) == (4, 12, 1.5)
    assert {point.point.token_stride for point in summarise_run(tmp_path / "r").points} == {1, 3}
    with pytest.raises(SpaceError, match="not one point of the plan is kept"):
        sweep(manifest, out=tmp_path / "none", keep=lambda point: point.speed == 2, **asked)
