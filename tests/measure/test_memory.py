import sys

import numpy as np
import pytest

from allophone.measure.memory import PeakMemory, resident_bytes

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SIZE = 200_000_000  # bytes


@linux
def test_a_peak_is_seen_even_when_the_memory_is_free_again():
    memory = PeakMemory()
    memory.start()
    before = resident_bytes()
    block = np.ones(SIZE // 8)
    del block
    assert memory.peak() - before == pytest.approx(SIZE, rel=0.1)


@linux
def test_an_interval_knows_nothing_of_the_one_before():
    memory = PeakMemory()
    memory.start()
    block = np.ones(SIZE // 8)
    high = memory.peak()
    del block
    memory.start()
    assert memory.peak() < high - 0.9 * SIZE


def test_a_process_without_a_status_file_has_no_figure(tmp_path):
    assert resident_bytes(process=tmp_path) is None
