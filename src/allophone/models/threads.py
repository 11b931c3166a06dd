"""CPU threads per replica of a model, and replicas per machine."""

from __future__ import annotations

import os
from pathlib import Path

from allophone.dimensions.moonshine import RecognitionDimensions

__all__ = ["choose_replicas", "choose_threads", "physical_cores"]

# Up to the width of base (512) one decoder step is so little work that handing it to a second thread costs more than
# the thread gives back: a token takes 1.7 ms with one thread and 5.5 ms with two, while the encoder of a short window
# gains less than a third (benchmarks/costs/threads.py measures it).
_SMALL_STATE = 512
_CPUS = Path("/sys/devices/system/cpu")


def choose_threads(dims: RecognitionDimensions) -> int:
    """Return the CPU threads of one replica: 1 up to the width of base (512), every physical core above.

    Args:
        dims: Dimensions of the model; ``n_audio_state`` decides.
    """
    return 1 if dims.n_audio_state <= _SMALL_STATE else physical_cores()


def choose_replicas(threads: int) -> int:
    """Return how many replicas keep the physical cores busy when there is work for all; 1 at least.

    Args:
        threads: CPU threads of one replica.
    """
    return max(1, physical_cores() // threads)


def physical_cores(cpus: Path = _CPUS) -> int:
    """Return how many physical cores this process may use; hyper-threads of one core count once.

    Args:
        cpus: Where Linux describes them. Where it does not, every logical processor counts as a core.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = set()
    for cpu in allowed:
        topology = cpus / f"cpu{cpu}" / "topology"
        try:
            package, core = ((topology / name).read_text() for name in ("physical_package_id", "core_id"))
        except OSError:
            return len(allowed)
        cores.add((package, core))
    return len(cores)
