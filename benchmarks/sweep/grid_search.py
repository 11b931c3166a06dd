"""How much of an exhaustive grid's engine time ``race`` and ``joint`` need for the same frontier.

The stage ``measure`` measures the grid once, resumable; the stage ``judge`` then replays its rows through the real
searches, five seeds each, and writes ``docs/results/grid_search``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from allophone.sweeps.recognition.run import sweep
from benchmarks.shared.recording import ROOT
from benchmarks.sweep.grid import SPACE, kept, write_manifest
from benchmarks.sweep.grid_judge import judge_searches


def main() -> None:
    """Measure the grid, or judge the searches against it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("measure", "judge"))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "grid-train-clean-5")
    asked = parser.parse_args()
    if asked.stage == "measure":
        measure_grid(asked.out)
    else:
        judge_searches(asked.out)


def measure_grid(out: Path) -> None:
    """Measure every point on every utterance with one thread; the same call goes on where it was stopped."""
    sweep(
        write_manifest(out),
        out=out,
        plan="grid",
        space=SPACE,
        keep=kept,
        threads=1,
        progress=lambda now: print(f"{now.done}/{now.total}, {(now.remaining_s or 0) / 60:.0f} min left", flush=True),
    )


if __name__ == "__main__":
    main()
