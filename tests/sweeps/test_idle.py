import pytest

from allophone.errors import AllophoneError, UsageError
from allophone.sweeps import idle
from allophone.sweeps.idle import load_average, wait_for_idle
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from builders import write_tones


class World:
    """A clock that runs while one sleeps, and a load that falls by a quarter in a minute."""

    def __init__(self, load):
        self.first, self.now, self.waited = load, 0.0, []

    def load(self):
        return None if self.first is None else self.first * 0.75 ** (self.now / 60)

    def sleep(self, seconds):
        self.now += seconds

    def wait(self, minutes):
        wait_for_idle(minutes, self.waited.append, load=self.load, clock=lambda: self.now, pause=self.sleep)


def test_an_idle_machine_is_not_waited_for():
    world = World(0.4)
    world.wait(1)
    assert (world.now, world.waited) == (0.0, [])


def test_a_busy_one_is_until_its_load_has_fallen():
    # 2.0 falls to 0.5 in log(4) / log(4/3) = 4.82 minutes: 290 s, looked at every 2 s.
    world = World(2.0)
    world.wait(10)
    assert world.now == 290
    assert world.waited == [2.0 * step for step in range(145)]


def test_a_machine_that_never_is_idle_ends_the_wait():
    world = World(2.0)
    with pytest.raises(AllophoneError, match=r"not idle for 3 minutes \(load 0\.8"):
        world.wait(3)
    assert world.now == 180


def test_what_cannot_be_waited_for_is_a_usage_error():
    with pytest.raises(UsageError, match="above 0"):
        World(0.1).wait(0)
    with pytest.raises(UsageError, match="does not tell its load"):
        World(None).wait(1)


def test_a_sweep_waits_before_it_measures_and_not_where_nothing_is_left(tmp_path, monkeypatch):
    space = SearchSpace(model=("fake:tiny",), context=("full",), token_stride=(1,), beam_size=(1,))
    manifest, stages, loads = write_tones(tmp_path / "c", n=2), [], iter([2.0, 0.2])
    monkeypatch.setattr(idle, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(
        "allophone.sweeps.recognition.run.wait_for_idle", lambda m, w: wait_for_idle(m, w, load=lambda: next(loads))
    )

    def measured():
        sweep(manifest, out=tmp_path / "r", space=space, idle_minutes=5, progress=lambda now: stages.append(now.stage))

    measured()
    assert stages == ["waiting", "measuring", "measuring"]
    measured()  # the loads are used up: another look would fail
    assert len(stages) == 3


def test_a_system_that_tells_no_load_has_none(monkeypatch):
    assert load_average() is None or load_average() >= 0
    monkeypatch.delattr(idle.os, "getloadavg", raising=False)
    assert load_average() is None
