"""A sweep killed at any moment loses at most the rows in flight and duplicates none."""

import os
import signal
import subprocess
import sys
import time

import pytest

from allophone.ledger.readers import connect
from builders import write_tones

N_UTTERANCES = 40
POINTS = 4  # fake:tiny: centre, fit, stride 2, beam 5


def command(manifest, out):
    return [sys.executable, "-m", "allophone", "sweep", str(manifest), "--models", "fake:tiny", "--out", str(out)]


def counted(out):
    with connect(out) as connection:
        return connection.execute(
            "SELECT count(*), count(DISTINCT (point, utterance_index)) FROM measurements"
        ).fetchall()[0]


def wait_for(condition, process, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None or condition(), process.stderr.read()
        assert time.monotonic() < deadline, "nothing was measured in time"
        time.sleep(0.005)


def journal_bytes(out):
    folder = out / "measurements"
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.exists() else 0


@pytest.mark.slow
def test_kill_dash_nine_in_a_loop(tmp_path):
    manifest = write_tones(tmp_path / "c", n=N_UTTERANCES)
    out = tmp_path / "r"
    kept = 0
    kills = 0
    for _ in range(30):
        process = subprocess.Popen(command(manifest, out), stderr=subprocess.PIPE, text=True)
        before = journal_bytes(out)
        # Let it add a little (a different little each time), then kill it without warning.
        wait_for(lambda: journal_bytes(out) > before + 700 * (kills % 5) or process.poll() is not None, process)  # noqa: B023
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read()
            process.stderr.close()
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        process.stderr.close()
        kills += 1
        rows, distinct = counted(out)
        assert rows == distinct
        assert rows >= kept, "rows that were written are gone"
        kept = rows
    assert kills >= 5
    done = subprocess.run(command(manifest, out), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert counted(out) == (N_UTTERANCES * POINTS, N_UTTERANCES * POINTS)
    assert len(list((out / "measurements").glob("*.parquet"))) == POINTS
    assert len(list((out / "measurements").iterdir())) == POINTS


def test_ctrl_c_stops_cleanly_and_the_same_command_continues(tmp_path):
    n = 4 * N_UTTERANCES  # enough that a busy machine's signal comes before the end
    manifest = write_tones(tmp_path / "c", n=n)
    out = tmp_path / "r"
    process = subprocess.Popen(
        command(manifest, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(lambda: journal_bytes(out) > 0, process)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The same command continues" in errors
    assert "Traceback" not in errors
    rows, distinct = counted(out)
    assert 0 < rows == distinct
    done = subprocess.run(command(manifest, out), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert counted(out) == (n * POINTS, n * POINTS)


def test_workers_end_with_a_killed_driver(tmp_path):
    manifest = write_tones(tmp_path / "c", n=N_UTTERANCES)
    out = tmp_path / "r"
    process = subprocess.Popen(command(manifest, out), stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: journal_bytes(out) > 0, process)
    workers = children_of(process.pid)
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its driver"
        time.sleep(0.02)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
