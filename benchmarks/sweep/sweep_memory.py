"""Peak memory of a sweep over corpora of growing length: driver and worker, against the loaded model."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from allophone.corpora.manifest import read_manifest
from allophone.demo.corpus import build_demo_corpus
from allophone.measure.memory import resident_bytes
from allophone.sweeps.recognition import executor
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import ROOT, write_result

LENGTHS = sized((60, 600, 3000), (4, 8))
SAMPLE_EVERY_S = 0.02


def main() -> None:
    """Sweep one point of tiny.en; longer corpora are the demo corpus repeated under new ids, each in a new process."""
    parser = command_line(__doc__)
    parser.add_argument(
        "--worker", nargs=3, metavar=("CORPUS", "OUT", "MODEL"), help="run one sweep and print its peaks"
    )
    asked = begin(parser)
    if asked.worker:
        corpus, out, model = asked.worker
        print(json.dumps(watch(Path(corpus), Path(out), model)))
        return
    short = [item for item in read_manifest(build_demo_corpus()) if (item.duration_s or 0) < 4]
    figures = {}
    for length in LENGTHS:
        model = "tiny.en" if length <= 600 else "fake:tiny"  # the real engine would take an hour at the last length
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder) / "manifest.jsonl"
            with corpus.open("w", encoding="utf-8") as lines:
                for number in range(length):
                    item = short[number % len(short)]
                    row = {"id": f"{number}", "audio_filepath": str(item.audio_filepath), "text": item.text}
                    lines.write(json.dumps({**row, "duration": item.duration_s}) + "\n")
            command = [
                sys.executable,
                "-m",
                "benchmarks.sweep.sweep_memory",
                "--worker",
                str(corpus),
                str(Path(folder) / "run"),
                model,
            ]
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            figures[f"{length}_utterances"] = json.loads(done.stdout)
    write_result("sweep_memory", {"lengths": LENGTHS, "sampled_every_s": SAMPLE_EVERY_S, "points": 1}, figures)


def watch(corpus: Path, out: Path, model: str) -> dict[str, Any]:
    """Run a sweep while a thread reads the resident size of this process and its worker."""
    space = SearchSpace(model=(model,), context=("fit",), token_stride=(1,), beam_size=(1,))
    before = resident_bytes() or 0
    peaks = {"driver": 0, "worker": 0, "together": 0}
    loaded: list[int] = []
    stop = threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_EVERY_S):
            driver = resident_bytes() or 0
            children = Path("/proc/self/task", str(threading.main_thread().native_id), "children").read_text().split()
            worker = sum(resident_bytes(process=Path("/proc", child)) or 0 for child in children)
            peaks["driver"] = max(peaks["driver"], driver)
            peaks["worker"] = max(peaks["worker"], worker)
            peaks["together"] = max(peaks["together"], driver + worker)

    original = executor.LocalExecutor.stop

    def stop_and_note(self: executor.LocalExecutor) -> None:
        loaded.extend(ready.resident_bytes or 0 for ready in self.ready.values())
        original(self)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    executor.LocalExecutor.stop = stop_and_note  # type: ignore[method-assign]
    try:
        sweep(corpus, out=out, space=space, threads=2)
    finally:
        executor.LocalExecutor.stop = original  # type: ignore[method-assign]
        stop.set()
        thread.join()
    return {
        "model": model,
        "worker_with_model_loaded_bytes": loaded[0],
        "worker_peak_bytes": peaks["worker"],
        "driver_peak_bytes": peaks["driver"],
        "driver_before_bytes": before,
        "sweep_beyond_loaded_model_bytes": peaks["worker"] - loaded[0] + peaks["driver"],
    }


if __name__ == "__main__":
    main()
