"""One system in a process of its own, so that its memory is its own, and only one of them works at a time.

Requests and replies are JSON lines. A worker whose turn it is not is stopped (``SIGSTOP``): threads that OpenMP keeps
spinning after a call would otherwise take time from the next system. Times are taken inside the worker, from samples in
memory to text, so neither pipes nor reading a file count.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_LINUX = sys.platform == "linux"


class Worker:
    """A loaded system.

    Args:
        name: The system, as :func:`peer_systems.load_system` takes it.
        model: Name of the weights.
        folder: The converted weights; the worker's own log goes there too.
        cores: Processor cores that it may use; their number is the thread budget.
    """

    def __init__(self, name: str, model: str, folder: Path, cores: list[int]) -> None:
        self.name = name
        self.log = folder / f"{name.replace(' ', '-')}-{len(cores)}.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.peers.worker", name, model, str(folder), json.dumps(cores)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(__file__).parents[2],  # where the module's name is known
                env=os.environ | dict.fromkeys(_THREAD_VARIABLES, str(len(cores))),
            )
        self.load_s: float = self._reply()["load_s"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Wake the worker, hand it a request, wait for its reply, and stop it again."""
        if _LINUX:
            self._process.send_signal(signal.SIGCONT)
            sleep(0.002)  # until threads that were stopped while spinning have gone to sleep
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._reply()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _reply(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"{self.name}: its worker ended with {self._process.wait()}; {self.log}:\n{tail}")
        if _LINUX:
            self._process.send_signal(signal.SIGSTOP)
        reply: dict[str, Any] = json.loads(line)
        return reply


def serve(name: str, model: str, folder: Path, threads: int) -> None:
    """Load, then answer requests until the pipe closes."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print do not disturb the replies
    from allophone.audio.decode import load_audio
    from allophone.measure.memory import PeakMemory
    from benchmarks.peers.systems import load_system

    started = perf_counter()
    system: Any = load_system(name, model, folder, threads)
    memory = PeakMemory()

    def send(reply: dict[str, Any]) -> None:
        print(json.dumps(reply), file=replies, flush=True)

    send({"load_s": perf_counter() - started})
    for line in sys.stdin:
        request = json.loads(line)
        if "audio" in request:
            samples = load_audio(Path(request["audio"]))
            started, cpu_started = perf_counter(), process_time()
            answer = system(samples)
            times = {"seconds": perf_counter() - started, "cpu_s": process_time() - cpu_started}
            send(times | {"encode_s": answer.encode_s, "flops": answer.flops, "text": answer.text})
        elif "files" in request:
            started, cpu_started = perf_counter(), process_time()
            texts = system.files(request["files"])
            send({"seconds": perf_counter() - started, "cpu_s": process_time() - cpu_started, "texts": texts})
        else:
            send({"peak_memory_bytes": memory.peak()})


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent is gone: a stopped one would stay for ever."""
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of sys/prctl.h
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


if __name__ == "__main__":
    asked, weights, where, allowed = sys.argv[1:]
    if _LINUX:
        _end_with_parent()
        os.sched_setaffinity(0, json.loads(allowed))
    serve(asked, weights, Path(where), len(json.loads(allowed)))
