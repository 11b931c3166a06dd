"""Every benchmark, one after another; those that need the real speech are passed over where it is absent.

Hours in all. Two stand apart: ``peers.py`` needs the packages of ``peers-requirements.txt``, and ``emotion_table.py``
takes as long as it is given. ``routing_families.py`` needs the extra ``moonshine``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from recording import SPEECH

HERE = Path(__file__).resolve().parent
ANYWHERE = (
    *("startup", "sweep_overhead", "sweep_memory", "peak_memory", "cost_speed", "threads", "robustness"),
    *("bootstrap_speed", "interval_coverage", "robustness_runs"),
)
STATEMENTS = tuple(sorted(path.stem for path in HERE.glob("statements_*.py") if path.stem != "statements_page"))
REAL_SPEECH = (
    "star_sweep",
    *("grid_search measure", "grid_search judge", "context_tail measure", "context_tail judge"),
    *("context_attention", "encoder_resolution", "word_times", "context_adaptation", "long_audio", "speaker_blocks"),
    *("routing", "routing_faithful", "routing_families", "routing_robustness"),
    *("emotion_steps", "emotion_latency", "emotion_cascade"),
)


def main() -> int:
    """Return the number of benchmarks that failed."""
    argparse.ArgumentParser(description=__doc__).parse_args()  # so that --help starts nothing
    failed = 0
    pages = ("statements_page",) if STATEMENTS else ()
    for name in (*ANYWHERE, *STATEMENTS, *pages, *REAL_SPEECH):
        script, *stage = name.split()
        if name in REAL_SPEECH and not SPEECH.is_dir():
            print(f"== {name}: passed over, no real speech beside the checkout", flush=True)
            continue
        print(f"== {name}", flush=True)
        failed += (
            subprocess.run([sys.executable, HERE / f"{script}.py", *stage], check=False, cwd=HERE.parent).returncode
            != 0
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
