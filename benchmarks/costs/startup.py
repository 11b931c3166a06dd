"""How long ``import allophone`` and ``allophone --help`` take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import spread, write_result

REPEATS = sized(15, 1)
COMMANDS = {
    "python_alone_s": [sys.executable, "-c", "pass"],
    "import_allophone_s": [sys.executable, "-c", "import allophone"],
    "help_s": [str(Path(sys.executable).parent / "allophone"), "--help"],
}


def main() -> None:
    """Run the commands in turn, so that a slow moment falls on all of them."""
    begin(command_line(__doc__))
    # Compiled files are kept, as in any installation; the first round is not counted.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for repeat in range(REPEATS + 1):
        for name, command in COMMANDS.items():
            started = perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
            if repeat:
                seconds[name].append(perf_counter() - started)
    figures = {name: spread(values) for name, values in seconds.items()}
    write_result("startup", {"repeats": REPEATS, "warm_up_rounds": 1}, figures)


if __name__ == "__main__":
    main()
