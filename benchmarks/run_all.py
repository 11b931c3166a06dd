"""Every benchmark, one after another; those that need the real speech are passed over where it is absent.

Hours in all. Three need more than others: ``peers`` the packages of ``peers/requirements.txt``, ``routing_families``
the extra ``moonshine``, and ``emotion_table`` as much time as it is given (``--minutes`` of its own); they are passed
over unless they are named. ``--quick`` tries all the others on tiny sizes and synthetic speech, in minutes, and writes
to a temporary folder.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from benchmarks.shared.quick import QUICK, begin, command_line
from benchmarks.shared.recording import ROOT, SPEECH


@dataclass(frozen=True, slots=True)
class Entry:
    """A benchmark that can be run.

    Args:
        name: Its module below ``benchmarks``.
        speech: Whether it needs the real speech.
        needs: A package beyond those of the extras that ``make bench`` installs.
        named_only: Whether it takes so long that it runs only when it is named.
    """

    name: str
    speech: bool = False
    needs: str = ""
    named_only: bool = False

    @property
    def stem(self) -> str:
        """The name without its room."""
        return self.name.rpartition(".")[2]

    @property
    def path(self) -> Path:
        """The script."""
        return ROOT.joinpath("benchmarks", *self.name.split(".")).with_suffix(".py")


# In the order of a whole run: policies and the page of statements stand on results of those before them.
ENTRIES = (
    *(Entry(f"costs.{name}") for name in ("startup", "cost_speed", "bootstrap_speed", "peak_memory")),
    Entry("costs.threads", speech=True),
    *(Entry(f"sweep.{name}") for name in ("sweep_overhead", "sweep_memory")),
    *(Entry(f"sweep.{name}", speech=True) for name in ("star_sweep", "grid_search")),
    *(Entry(f"robustness.{name}") for name in ("robustness", "robustness_runs")),
    *(Entry(f"context.{name}", speech=True) for name in ("context_tail", "default_point")),
    *(Entry(f"context.{name}", speech=True) for name in ("context_attention", "encoder_resolution")),
    *(Entry(f"context.{name}", speech=True) for name in ("word_times", "context_adaptation", "long_audio")),
    *(Entry(f"routing.{name}", speech=True) for name in ("routing", "routing_faithful", "routing_robustness")),
    Entry("routing.routing_families", speech=True, needs="moonshine_voice"),
    *(Entry(f"emotion.{name}") for name in ("emotion_steps", "emotion_latency")),
    Entry("emotion.emotion_cascade", speech=True),
    Entry("emotion.emotion_table", speech=True, named_only=True),
    Entry("peers.peers", speech=True, named_only=True),
    Entry("serving.serve_load", speech=True),
    Entry("statements.interval_coverage"),
    *(Entry(f"statements.statements_{name}") for name in ("points", "certified", "compare", "labels", "policies")),
    Entry("statements.statements_objectives"),
    *(Entry(f"statements.statements_{name}") for name in ("time", "page")),
    Entry("statements.speaker_blocks", speech=True),
)


def main() -> int:
    """Return the number of benchmarks that failed."""
    parser = command_line(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, by the name of the script")
    asked = begin(parser)
    unknown = set(asked.names) - {entry.stem for entry in ENTRIES}
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    failed = []
    for entry in ENTRIES:
        if asked.names and entry.stem not in asked.names:
            continue
        reason = "" if asked.names else passed_over(entry)
        if reason:
            print(f"== {entry.stem}: passed over, {reason}", flush=True)
            continue
        started = perf_counter()
        print(f"== {entry.stem}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{entry.name}"]
        done = subprocess.run(command, check=False, cwd=ROOT, stdout=None if QUICK is None else subprocess.DEVNULL)
        failed += [entry.stem] if done.returncode else []
        print(
            f"== {entry.stem}: {'failed' if done.returncode else 'done'}, {perf_counter() - started:.0f} s", flush=True
        )
    if failed:
        print(f"{len(failed)} failed: {', '.join(failed)}")
    return len(failed)


def passed_over(entry: Entry) -> str:
    """Return why a benchmark is not run where all are, or nothing."""
    if entry.needs and find_spec(entry.needs) is None:
        return f"{entry.needs} is not installed"
    if QUICK is not None:
        return ""
    if entry.named_only:
        return "it runs only when it is named"
    return "no real speech beside the checkout" if entry.speech and not SPEECH.is_dir() else ""


if __name__ == "__main__":
    sys.exit(main())
