import time

from allophone.models.stopwatch import Stopwatch


def test_laps_tell_what_passed_and_what_the_processor_did_meanwhile():
    watch = Stopwatch()
    time.sleep(0.05)
    waited = watch.lap()
    ends = time.process_time() + 0.05
    while time.process_time() < ends:
        pass
    worked = watch.lap()
    assert waited.wall_s >= 0.05
    assert waited.cpu_s < 0.04
    assert worked.cpu_s >= 0.049
    assert worked.wall_s >= 0.049
