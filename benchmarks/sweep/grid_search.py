"""How much of an exhaustive grid's engine time ``race`` and ``joint`` need for the same frontier.

The stage ``measure`` measures the grid once, resumable; the stage ``judge`` then replays its rows through the real
searches, five seeds each, and writes ``docs/results/grid_search``.
"""

from __future__ import annotations

from pathlib import Path

from allophone.sweeps.recognition.run import sweep
from benchmarks.shared.quick import begin, command_line
from benchmarks.shared.recording import RUNS
from benchmarks.sweep.grid import SPACE, kept, write_manifest
from benchmarks.sweep.grid_judge import judge_searches


def main() -> None:
    """Measure the grid, or judge the searches against it."""
    parser = command_line(__doc__)
    parser.add_argument("stage", nargs="?", choices=("measure", "judge", "both"), default="both")
    parser.add_argument("--out", type=Path, default=RUNS / "grid-train-clean-5")
    asked = begin(parser)
    if asked.stage != "judge":
        measure_grid(asked.out)
    if asked.stage != "measure":
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
