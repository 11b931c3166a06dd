"""What damage, kills, full disks and missing rights do to run folders and policies: refused with a reason, or worse.

Every call of the command runs in a process of its own. ``done`` and ``refused`` (an exit code and a message) are right;
``wrong`` is a call that succeeded and left, or showed, something else than an undisturbed one.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401  every fork has the libraries that it needs: another user may not read where they lie
import jinja2  # noqa: F401
import onnx  # noqa: F401
import onnxruntime  # noqa: F401
import rich.console
import rich.measure
import rich.table  # noqa: F401
import torch

import allophone.extras  # noqa: F401
from benchmarks.robustness.command import AXES, Call, call, counts, rows_of, write_corpus
from benchmarks.robustness.damage import policy_edits, run_edits
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import markdown_table, stamp_line, write_result

SEED = 5
POINTS = "fake.tiny.en-full-s1-int8-b1,fake.base-full-s1-int8-b1"
PLANS: dict[str, tuple[str, ...]] = {
    "star": AXES,
    "star, two workers": (*AXES, "--workers", "2"),
    "race": (*AXES, "--plan", "race", "--cost", "executed_gflops"),
    "joint": (*AXES, "--plan", "joint", "--cost", "executed_gflops", "--trials", "3"),
}
KILLS = {"star": 40, "star, two workers": 15, "race": 30, "joint": 28}
KILLS_PER_FOLDER = 5


def main() -> None:
    """Try everything, and write counts."""
    torch.set_num_threads(1)  # a forked child has no threads of its parent's pool
    parser = command_line(__doc__)
    parser.add_argument("parts", nargs="*", help="of what is tried; else all, and the result is written")
    wanted = begin(parser).parts or list(PARTS)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        work.chmod(0o755)
        corpus = write_corpus(work / "corpus")
        run = work / "run"
        _must(call("the run", "sweep", corpus, *AXES, "--out", run))
        policy = work / "policy"
        _must(call("the policy", "route", "train", run, "--points", POINTS, "--out", policy, "--force"))
        figures = {}
        for name in wanted:
            started = time.monotonic()
            figures[name] = counts(PARTS[name](work, corpus, run, policy))
            print(f"{name}: {figures[name]} ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
    if set(wanted) == set(PARTS):
        write_result("robustness_runs", {"seed": SEED, "kills": KILLS}, figures, page(figures))


def _must(made: Call) -> None:
    if made.result != "done":
        raise SystemExit(f"{made.what} cannot be made: {made.why}")


def run_folders(work: Path, corpus: Path, run: Path, policy: Path) -> list[Call]:
    """Damaged or hostile files of a run, through the verbs that read it and the sweep that continues it."""
    del policy
    calls, copy, whole = [], work / "damaged", rows_of(run)
    for name, edit in run_edits(run):
        for verb in (
            ("frontier", copy),
            ("report", copy, "--out", work / "r.html"),
            ("sweep", corpus, *AXES, "--out", copy),
        ):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(run, copy)
            edit(copy)
            check = (lambda: _same(rows_of(copy), whole)) if verb[0] == "sweep" else None
            calls.append(call(f"{name}: {verb[0]}", *verb, check=check))
    return calls


def _same(found: Sequence[object], wanted: Sequence[object]) -> str:
    if list(found) == list(wanted):
        return ""
    return f"{len(found)} rows for {len(wanted)}, {len(set(map(repr, found)) ^ set(map(repr, wanted)))} different"


def policies(work: Path, corpus: Path, run: Path, policy: Path) -> list[Call]:
    """Damaged or hostile files of a policy, through the transcription that it routes."""
    del run
    calls, copy, clip = [], work / "hostile", corpus.parent / "audio" / "u000.wav"
    for name, edit in policy_edits(policy):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(policy, copy)
        edit(copy)
        calls.append(call(name, "transcribe", "--policy", copy, clip))
    return calls


def kills(work: Path, corpus: Path, run: Path, policy: Path) -> list[Call]:
    """SIGKILL at random moments; what the same command then ends with must be what an undisturbed one ends with."""
    chance, calls = random.Random(SEED), []
    for plan, options in PLANS.items():
        whole, started = work / f"whole {plan}", time.monotonic()
        _must(call(plan, "sweep", corpus, *options, "--out", whole))
        span, left = time.monotonic() - started, KILLS[plan]
        while left > 0:
            out = work / f"{plan} {left}"
            for _ in range(KILLS_PER_FOLDER):
                left -= _killed(chance.uniform(0.05, span), "sweep", corpus, *options, "--out", out)
            calls.append(
                call(
                    f"{plan}, killed {KILLS_PER_FOLDER} times",
                    *("sweep", corpus, *options, "--out", out),
                    check=partial(_as_undisturbed, out, whole),
                )
            )
            shutil.rmtree(out)
    return [*calls, *_retrained(work, corpus, run, policy, chance)]


def _killed(after_s: float, *arguments: object) -> int:
    """Run the command and kill it with all its processes; return 1."""
    child = os.fork()
    if child == 0:
        from benchmarks.robustness.command import _run

        _run(os.open(os.devnull, os.O_WRONLY), [str(part) for part in arguments], None)
    time.sleep(after_s)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def _as_undisturbed(run: Path, whole: Path) -> str:
    return _same(rows_of(run), rows_of(whole)) or _stray(run)


def _stray(run: Path) -> str:
    kept = {".parquet", ".jsonl"}
    found = [path.name for path in (run / "measurements").iterdir() if path.suffix not in kept]
    return f"left behind: {found}" if found else ""


def _retrained(work: Path, corpus: Path, run: Path, policy: Path, chance: random.Random) -> list[Call]:
    """Kill the training of a policy in a folder that holds one: it, or the new one, must transcribe."""
    calls, copy, clip = [], work / "retrained", corpus.parent / "audio" / "u000.wav"
    train = ("route", "train", run, "--points", POINTS, "--force", "--seed", "3")
    started = time.monotonic()
    _must(call("training", *train, "--out", work / "other"))
    span = time.monotonic() - started
    for number in range(6):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(policy, copy)
        _killed(chance.uniform(0.5, 1.05) * span, *train, "--out", copy)
        calls.append(call(f"a policy trained over another, killed {number}", "transcribe", "--policy", copy, clip))
    return calls


def full_disks(work: Path, corpus: Path, run: Path, policy: Path) -> list[Call]:
    """Files that may not grow beyond a size, as on a full disk, and the same command with room."""
    calls: list[Call] = []
    clip = corpus.parent / "audio" / "u000.wav"
    for n_bytes in (0, 500, 2000, 8000, 20_000, 60_000):
        out = work / f"full {n_bytes}"
        calls.append(call(f"sweep, {n_bytes} bytes", "sweep", corpus, *AXES, "--out", out, before=_limit(n_bytes)))
        again = call(
            f"sweep with room behind {n_bytes} bytes",
            *("sweep", corpus, *AXES, "--out", out),
            check=partial(_as_undisturbed, out, run),
        )
        calls.append(again)
    copy = work / "full policy"
    train = ("route", "train", run, "--points", POINTS, "--force", "--seed", "3", "--out", copy)
    for n_bytes in (0, 1000, 4000):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(policy, copy)
        calls.append(call(f"training over a policy, {n_bytes} bytes", *train, before=_limit(n_bytes)))
        calls.append(call(f"the policy that was there, {n_bytes} bytes", "transcribe", "--policy", copy, clip))
    verbs: tuple[tuple[object, ...], ...] = (
        ("report", run, "--out", work / "r.html"),
        ("recommend", run, "--out", work / "p.json"),
        ("transcribe", "--model", "fake:base", clip, "--out", work / "texts", "--overwrite"),
    )
    calls += [
        call(f"{verb[0]}, {n_bytes} bytes", *verb, before=_limit(n_bytes)) for n_bytes in (0, 3) for verb in verbs
    ]
    return calls


def _limit(n_bytes: int) -> Callable[[], None]:
    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

    return before


def permissions(work: Path, corpus: Path, run: Path, policy: Path) -> list[Call]:
    """Another user, who may read a run and not write it, or not even read parts of it."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return []
    clip, out = corpus.parent / "audio" / "u000.wav", work / "others"
    out.mkdir()
    out.chmod(0o777)
    verbs: tuple[tuple[object, ...], ...] = (
        ("frontier", run),
        ("diagnose", run),
        ("recommend", run),
        ("recommend", run, "--out", out / "p.json"),
        ("recommend", run, "--out", work / "p.json"),
        ("report", run),
        ("report", run, "--out", out / "r.html"),
        ("sweep", corpus, *AXES, "--out", run),
        ("sweep", corpus, *AXES, "--out", work / "new"),
        ("transcribe", "--model", "fake:base", clip, "--out", work / "texts of others"),
        ("transcribe", "--policy", policy, clip),
        ("route", "train", run, "--points", POINTS, "--force", "--out", policy),
    )
    calls = [call(f"may not write: {' '.join(map(str, verb[:1]))}", *verb, before=_reader) for verb in verbs]
    locked = work / "locked"
    first = sorted((run / "measurements").iterdir())[0].name
    for name in (f"measurements/{first}", "measurements", "run.json"):
        shutil.rmtree(locked, ignore_errors=True)
        shutil.copytree(run, locked)
        (locked / name).chmod(0)
        calls.append(call(f"may not read {name.removesuffix(first)}", "frontier", locked, before=_nobody))
    return calls


def _nobody() -> None:
    os.setgid(65534)
    os.setuid(65534)


def _reader() -> None:
    """Become a user who may read everything, the interpreter's own files among it, and write nothing of others."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    _nobody()
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    read_search = 1 << 2  # CAP_DAC_READ_SEARCH
    libc.capset(header, (ctypes.c_uint32 * 6)(read_search, read_search, 0, 0, 0, 0))


_ALL: dict[str, Callable[[Path, Path, Path, Path], list[Call]]] = {
    "run folders": run_folders,
    "policies": policies,
    "kills": kills,
    "full disks": full_disks,
    "permissions": permissions,
}
PARTS = sized(_ALL, {"permissions": permissions})


def page(figures: dict[str, Any]) -> str:
    """Return the page of the results."""
    columns = ("tried", "calls", "done", "refused with a message", "traceback", "killed", "wrong")
    names = ("calls", "done", "refused", "traceback", "killed", "wrong")
    rows = [(part, *(str(found[name]) for name in names)) for part, found in figures.items()]
    bad = [f"- {part}: {line}" for part, found in figures.items() for line in found["bad"]]
    return "\n\n".join(
        [
            "# What damage, kills, full disks and missing rights do to runs and policies",
            "Runs of the fake engine over 40 synthetic recordings; every call is a process of its own. *Done* and "
            "*refused with a message* are right. *Wrong* is a call that succeeded with other rows than an undisturbed "
            "sweep's, or left files behind.",
            markdown_table(columns, rows),
            "A killed sweep was killed five times at random moments before the call that is counted; policies were "
            "killed while another was trained in their place.",
            *(["Those that must not be:", "\n".join(bad)] if bad else ["None ended otherwise."]),
            stamp_line(),
        ]
    )


if __name__ == "__main__":
    main()
