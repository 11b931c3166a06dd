import os
import platform
from importlib.metadata import version

from allophone.ledger.machine import MachineStamp, machine_stamp


def test_the_stamp_is_of_this_machine_and_these_packages():
    stamp = machine_stamp()
    assert stamp.processor
    assert stamp.cores == len(os.sched_getaffinity(0))
    assert stamp.memory_bytes > 1e8
    assert stamp.python == platform.python_version()
    assert stamp.packages["numpy"] == version("numpy")
    assert "pytest" not in stamp.packages  # it computes nothing


def test_a_stamp_survives_its_file():
    stamp = machine_stamp()
    assert MachineStamp.model_validate_json(stamp.model_dump_json()) == stamp
