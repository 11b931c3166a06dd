"""Every benchmark, one after another; those that need the real speech are passed over where it is absent.

Hours in all. Two stand apart: ``peers`` needs the packages of ``peers/requirements.txt``, and ``emotion_table`` takes
as long as it is given. ``routing_families`` needs the extra ``moonshine``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks.shared.recording import ROOT, SPEECH

ANYWHERE = (
    *("costs.startup", "sweep.sweep_overhead", "sweep.sweep_memory", "costs.peak_memory", "costs.cost_speed"),
    *("costs.threads", "robustness.robustness", "costs.bootstrap_speed", "statements.interval_coverage"),
    "robustness.robustness_runs",
    *(
        f"statements.statements_{name}"
        for name in ("certified", "compare", "labels", "points", "policies", "time", "page")
    ),
)
REAL_SPEECH = (
    "sweep.star_sweep",
    *("sweep.grid_search measure", "sweep.grid_search judge"),
    *("context.context_tail measure", "context.context_tail judge"),
    *("context.default_point measure", "context.default_point judge"),
    *(f"context.{name}" for name in ("context_attention", "encoder_resolution", "word_times", "context_adaptation")),
    *("context.long_audio", "statements.speaker_blocks"),
    *("routing.routing", "routing.routing_faithful", "routing.routing_families", "routing.routing_robustness"),
    *("emotion.emotion_steps", "emotion.emotion_latency", "emotion.emotion_cascade"),
)


def main() -> int:
    """Return the number of benchmarks that failed."""
    argparse.ArgumentParser(description=__doc__).parse_args()  # so that --help starts nothing
    failed = 0
    for name in (*ANYWHERE, *REAL_SPEECH):
        script, *stage = name.split()
        if name in REAL_SPEECH and not SPEECH.is_dir():
            print(f"== {name}: passed over, no real speech beside the checkout", flush=True)
            continue
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{script}", *stage]
        failed += subprocess.run(command, check=False, cwd=ROOT).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
