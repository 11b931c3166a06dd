"""Quick mode: ``--quick`` runs a benchmark on tiny sizes and a synthetic stand-in, all of it in a temporary folder.

It answers whether a benchmark still runs, never what it measures: nothing of it reaches ``docs/results`` or ``runs``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TypeVar

VARIABLE = "ALLOPHONE_BENCHMARKS_QUICK"  # the folder of a quick run, so that the processes it starts are quick too

_Size = TypeVar("_Size")


def quick_folder() -> Path | None:
    """Return the folder of this quick run, made where ``--quick`` asks for it; None where sizes are the full ones."""
    if "--quick" in sys.argv[1:] and not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix="allophone-quick-")
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


QUICK = quick_folder()  # read once: constants of a benchmark depend on it


def sized(full: _Size, quick: _Size) -> _Size:
    """Return a size of the benchmark, or the tiny one of its quick mode."""
    return full if QUICK is None else quick


def command_line(description: str | None) -> argparse.ArgumentParser:
    """Return the parser that every benchmark extends: ``--help`` starts nothing, ``--quick`` is known."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes on synthetic speech, in a temporary folder: does it still run?"
    )
    return parser


def begin(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line; a quick run gets its synthetic speech, unless the run that started it made that."""
    asked = parser.parse_args()
    if QUICK is not None and not (QUICK / "data").is_dir():
        from benchmarks.data import synthesise  # which needs this module

        print(f"quick: all in {synthesise(QUICK / 'data').parent}", file=sys.stderr, flush=True)
    return asked
