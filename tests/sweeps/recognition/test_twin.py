import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from allophone.frontier.summarise import summarise_run
from allophone.ledger.ledger import Ledger
from allophone.ledger.race_record import Elimination, write_race
from allophone.ledger.readers import connect
from allophone.ledger.twin_record import TWIN_FILE, read_twins
from allophone.records.point import OperatingPoint
from allophone.sweeps.recognition import twin as twins
from allophone.sweeps.recognition.race_loop import tasks_for
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.recognition.twin import Twin, cheapest_point, twin_places
from allophone.sweeps.space import SearchSpace
from builders import measurement, run_record, write_tones

SPACE = SearchSpace(model=("fake:tiny", "fake:small"), context=("full", "fit"), token_stride=(1, 2), beam_size=(1,))
A, B, C = (OperatingPoint(model="tiny.en", beam_size=beams) for beams in (3, 1, 2))


def measured(folder):
    with connect(folder) as connection:
        return connection.execute("SELECT point, utterance_index FROM measurements").fetchall()


def test_a_sweep_measures_its_cheapest_point_twice_and_its_rows_stay_as_they_were(tmp_path):
    manifest = write_tones(tmp_path / "c", n=4)
    result = sweep(manifest, out=tmp_path / "r", space=SPACE)
    assert (result.points, result.rows) == (6, 24)
    assert len(measured(tmp_path / "r")) == len(set(measured(tmp_path / "r"))) == 24
    pairs = read_twins(tmp_path / "r")
    assert {(point, index) for point, index, _ in pairs} == {(cheapest(tmp_path / "r"), index) for index in range(4)}
    summary = summarise_run(tmp_path / "r")
    assert set(summary.samples.noise_floors) >= {"rtf", "latency_p50_s", "latency_p95_s"}
    assert summary.samples.noise["rtf"].pairs == 4


def cheapest(folder):
    return min(summarise_run(folder).points, key=lambda point: point.executed_gflops).name


def test_the_cheapest_point_executes_the_fewest_flops():
    points = [OperatingPoint(model=model, beam_size=beams) for model in ("base", "tiny.en") for beams in (2, 1)]
    assert cheapest_point(points) == OperatingPoint(model="tiny.en", beam_size=1)


def test_the_same_call_measures_no_twin_twice_and_a_run_of_before_stays_without_one(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    before = (tmp_path / "r" / TWIN_FILE).read_bytes()
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    assert (tmp_path / "r" / TWIN_FILE).read_bytes() == before
    (tmp_path / "r" / TWIN_FILE).unlink()
    assert sweep(manifest, out=tmp_path / "r", space=SPACE).engine_s == 0
    assert not (tmp_path / "r" / TWIN_FILE).exists()  # pairs are measured together or not at all
    assert summarise_run(tmp_path / "r").samples.noise == {}


def test_an_extension_keeps_the_twin_that_there_is(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    dear = SearchSpace(model=("fake:small",), context=("full",), token_stride=(1,), beam_size=(1,))
    sweep(manifest, out=tmp_path / "r", space=dear)
    sweep(manifest, out=tmp_path / "r", space=SPACE, extend=True)
    assert {point for point, *_ in read_twins(tmp_path / "r")} == {"fake.small-full-s1-int8-b1"}


def test_a_recording_that_cannot_be_read_has_no_pair(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    (tmp_path / "c/audio/u1.wav").write_bytes(b"")
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    assert sorted(index for _, index, _ in read_twins(tmp_path / "r")) == [0, 2]


def test_of_many_utterances_those_are_measured_twice_that_a_race_hears_first(tmp_path, monkeypatch):
    monkeypatch.setattr(twins, "TWIN_UTTERANCES", 6)
    manifest = write_tones(tmp_path / "c", n=12, n_speakers=3)
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    places = [index for _, index, _ in read_twins(tmp_path / "r")]
    assert Counter(index % 3 for index in places) == {0: 2, 1: 2, 2: 2}
    assert summarise_run(tmp_path / "r").samples.noise["rtf"].pairs == 6


def test_few_utterances_are_all_measured_twice():
    assert list(twin_places(None, 200, 0)) == list(range(200))


def test_whom_the_race_gives_up_hands_the_twin_to_the_cheapest_of_the_others(tmp_path):
    with Ledger(tmp_path, run_record([A, B, C], 4)) as ledger:
        twin = Twin(tmp_path, range(4), cheapest_point)
        tasks = [(index, None) for index in range(4)]
        assert [task.twin for _, task in tasks_for(tasks, [A, B, C], ledger, twin)] == [B] * 4
        for index in (0, 1):
            ledger.append([measurement(point, index) for point in (A, B, C)])
            twin.append(measurement(B, index))
        assert twin.among([A, C]) is None  # B has it, and nobody gave B up
        write_race(tmp_path, 1, [Elimination(B.name, 2, C.name, 0.99, 0.5, 1.0)])
        assert [task.twin for _, task in tasks_for(tasks, [A, C], ledger, twin)] == [C, C]
        twin.append(measurement(C, 2))
    again = Twin(tmp_path, range(4), cheapest_point)
    assert again.among([A, C]) == C
    assert [again.is_due(C, index) for index in range(4)] == [True, True, False, True]


def test_a_race_and_a_joint_search_measure_one_point_twice(tmp_path):
    manifest = write_tones(tmp_path / "c", n=30, n_speakers=6)
    for plan in ("race", "joint"):
        sweep(manifest, out=tmp_path / plan, space=SPACE, plan=plan, trials=3)
        pairs = read_twins(tmp_path / plan)
        assert len({index for _, index, _ in pairs}) >= 20
        assert set(measured(tmp_path / plan)) >= {(point, index) for point, index, _ in pairs}
        assert summarise_run(tmp_path / plan).samples.noise["rtf"].pairs >= 20


def test_a_sweep_killed_at_any_moment_keeps_every_pair_and_doubles_none(tmp_path):
    manifest = write_tones(tmp_path / "c", n=30)
    out = tmp_path / "r"
    command = [sys.executable, "-m", "allophone", "sweep", str(manifest), "--models", "fake:tiny", "--out", str(out)]
    for kept in (3, 11, 17):
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        for _ in iter(int, 1):
            lines = (out / TWIN_FILE).read_bytes().count(b"\n") if (out / TWIN_FILE).exists() else 0
            if lines >= kept or process.poll() is not None:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
        assert len(read_twins(out)) >= kept
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = (out / TWIN_FILE).read_text().splitlines()
    assert sorted(json.loads(line)["utterance_index"] for line in lines) == list(range(30))


@pytest.mark.parametrize("points", [[], [A]])
def test_without_points_there_is_no_twin(tmp_path, points):
    assert Twin(tmp_path, range(4), cheapest_point).among(points) == (points[0] if points else None)
