"""allophone against other Whisper libraries on the same weights: latency, throughput, long audio, executed FLOPs.

Every system runs in a process of its own, on as many cores as the thread budget says, and all take turns utterance by
utterance in an order drawn anew each time, so that whatever else the machine does falls on all alike. ``measure`` may
be interrupted and goes on where it stopped; ``judge`` writes ``docs/results/peers.json`` and ``peers.md``. Install the
peers with ``pip install -r benchmarks/peers/requirements.txt``; those that are missing, or whose converted weights do
not give CTranslate2's float32 transcripts, are left out and named in the result. ``derive`` only adds to the result
that is there what follows from its figures.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from allophone.ledger.run_record import machine_stamp
from allophone.records.utterance import Utterance
from benchmarks.peers.judge import derive, judge
from benchmarks.peers.sets import SETS, SHORT_S, Log, read_set, write_long
from benchmarks.peers.systems import OURS, SYSTEMS, parse_point
from benchmarks.peers.worker import Worker
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import ROOT, RUNS

POINTS = "fit+1tall,fit+1t4,fit+1tallg,full"
SEQUENTIAL = ("faster-whisper", "faster-whisper lean")
WORKERS = "faster-whisper workers"
FILES_ONLY = ("faster-whisper batched 8", "faster-whisper batched 16", WORKERS)
PEER_PACKAGES = ("openai-whisper", "pywhispercpp", "transformers", "torch", "tokenizers")
WARM_UP = 2  # utterances


def main() -> None:
    """Measure what is missing, then judge all there is."""
    parser = command_line(__doc__)
    parser.add_argument("step", nargs="?", choices=("measure", "judge", "both", "derive"), default="both")
    parser.add_argument("--out", type=Path, default=RUNS / "peers")
    parser.add_argument("--models", type=listed, default=sized("tiny.en,base", "tiny.en"))
    parser.add_argument("--modes", type=listed, default="latency,throughput,long")
    parser.add_argument("--sets", type=listed, default=",".join(SETS))
    parser.add_argument("--points", type=listed, default=sized(POINTS, "fit+1tall"), help="our contexts, by short name")
    parser.add_argument("--systems", type=listed, default=",".join(SYSTEMS), help="peers")
    parser.add_argument(
        "--threads", type=listed, default=sized("1,2", "1"), help="thread budgets; the largest for throughput, long"
    )
    parser.add_argument("--cores", type=listed, default=None, help="cores to use, as many as the largest budget")
    parser.add_argument("--repeats", type=int, default=sized(3, 1))
    parser.add_argument("--slow-repeats", type=int, default=1, help="of peers that are not in int8")
    parser.add_argument("--long-repeats", type=int, default=1)
    parser.add_argument(
        "--sample", type=int, default=sized(252, 2), help="utterances of a set, drawn with a fixed seed"
    )
    parser.add_argument("--slow-sample", type=int, default=sized(100, 2), help="the same for those peers")
    parser.add_argument("--limit", type=int, default=None, help="only the first of these, for a trial")
    parser.add_argument("--minutes", type=float, default=sized(10.0, 0.2), help="of the long recording")
    asked = begin(parser)
    if asked.step == "derive":
        derive()
        return
    log = Log(asked.out / "peers.jsonl")
    if asked.step != "judge":
        Measuring(asked, log).all()
    if asked.step != "measure":
        judge(log)


def listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class Measuring:
    """One call of ``measure``.

    Args:
        asked: The command line.
        log: Takes the rows.
    """

    def __init__(self, asked: argparse.Namespace, log: Log) -> None:
        self.asked, self.log = asked, log
        unknown = set(asked.systems) - set(SYSTEMS)
        if unknown:
            raise SystemExit(f"no such system: {', '.join(sorted(unknown))}; known: {', '.join(SYSTEMS)}")
        self.ours = [OURS + parse_point(name, "any").context_name + stride(name) for name in asked.points]
        self.budgets = sorted(int(number) for number in asked.threads)
        allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        self.cores = [int(core) for core in asked.cores or allowed]
        if len(self.cores) < self.budgets[-1]:
            raise SystemExit(f"{self.budgets[-1]} threads need as many cores; here are {len(self.cores)}")

    def all(self) -> None:
        checked = {model: checked_weights(model, self.weights(model)) for model in self.asked.models}
        left_out = {model: record["left_out"] for model, record in checked.items()}
        builds = {name: told for record in checked.values() for name, told in record["builds"].items()}
        settings = {name: value for name, value in vars(self.asked).items() if name not in ("out", "step")}
        packages = {package: installed for package in PEER_PACKAGES if (installed := version_of(package))}
        stamp = {"machine": machine_stamp().model_dump(), "packages": packages, "load_average": os.getloadavg()}
        self.log.add(mode="start", settings=settings, left_out=left_out, builds=builds, **stamp)
        for model in self.asked.models:
            peers = [name for name in self.asked.systems if left_out[model][name] is None]
            if "latency" in self.asked.modes:
                for threads in self.budgets:
                    # One thread of two is a choice worth showing: the decoder of a small model is no faster on two.
                    fit = [name for name in peers if name not in FILES_ONLY or (threads > 1 and name == WORKERS)]
                    self.latency(model, threads, self.ours + fit)
            streamed = self.ours + [name for name in peers if name in SEQUENTIAL + FILES_ONLY]
            if "throughput" in self.asked.modes:
                self.throughput(model, self.budgets[-1], streamed)
            if "long" in self.asked.modes:
                self.long(model, self.budgets[-1], [name for name in streamed if name != WORKERS])

    def weights(self, model: str) -> Path:
        folder: Path = self.asked.out / "weights" / model
        return folder

    def latency(self, model: str, threads: int, systems: Sequence[str]) -> None:
        """One row an utterance, system and repeat."""
        for name in self.asked.sets:
            utterances = read_set(name, self.asked.sample)[: self.asked.limit]
            slow_ids = {one.id for one in read_set(name, self.asked.slow_sample)}
            turns = [
                (utterance, system, repeat)
                for repeat in range(self.asked.repeats)
                for utterance in utterances
                for system in shuffled(systems, f"{utterance.id} {repeat}")
                if self.takes(system, utterance, repeat, slow_ids)
            ]
            self.take_turns(("latency", model, threads, name), turns, by_utterance=True)

    def takes(self, system: str, utterance: Utterance, repeat: int, slow_ids: set[str]) -> bool:
        """Whether a system is given an utterance: ours all, for their FLOPs; the others those that are judged."""
        if system.startswith(OURS):
            return True
        if (utterance.duration_s or 0.0) >= SHORT_S:
            return False
        return SYSTEMS[system].number_format == "int8" or (
            repeat < self.asked.slow_repeats and utterance.id in slow_ids
        )

    def throughput(self, model: str, threads: int, systems: Sequence[str]) -> None:
        """One row a system and repeat: all files of the sets."""
        files = [one for name in self.asked.sets for one in read_set(name, self.asked.sample)[: self.asked.limit]]
        rounds = range(self.asked.repeats)
        turns = [(files, system, repeat) for repeat in rounds for system in shuffled(systems, f"files {repeat}")]
        self.take_turns(("throughput", model, threads, f"{len(files)} files"), turns)

    def long(self, model: str, threads: int, systems: Sequence[str]) -> None:
        """One row a system and repeat: one recording."""
        path = self.asked.out / f"long-{self.asked.minutes:g}.wav"
        write_long(self.asked.minutes, path)
        whole = Utterance(path.stem, path)
        rounds = range(self.asked.long_repeats)
        turns = [(whole, system, repeat) for repeat in rounds for system in shuffled(systems, f"long {repeat}")]
        self.take_turns(("long", model, threads, f"{self.asked.minutes:g} min"), turns)

    def take_turns(self, group: tuple[Any, ...], turns: list[Any], *, by_utterance: bool = False) -> None:
        """Ask the workers in order; rows that the log has are passed over."""
        missing = []
        for what, system, repeat in turns:
            key = (*group, system, *([what.id] if by_utterance else []), repeat)
            if key not in self.log.keys:
                missing.append((key, what, system, repeat))
        names = sorted({system for _, _, system, _ in missing})
        folder = self.weights(group[1])
        workers: dict[str, Worker] = {}
        try:
            for name in names:
                workers[name] = Worker(name, group[1], folder, self.cores[: group[2]])
                for utterance in read_set(self.asked.sets[0])[:WARM_UP]:
                    workers[name].ask(audio=str(utterance.audio_filepath))
                workers[name].ask()  # the peak that counts begins behind loading
            for done, (key, what, system, repeat) in enumerate(missing):
                print(f"\r{' '.join(map(str, group))}: {done}/{len(missing)}   ", end="", file=sys.stderr, flush=True)
                told = {"key": key, "mode": group[0], "model": group[1], "threads": group[2], "set": group[3]}
                told |= {"system": system, "repeat": repeat}
                if isinstance(what, Utterance):
                    told |= workers[system].ask(audio=str(what.audio_filepath))
                    told |= {"utterance": what.id}
                else:
                    told |= workers[system].ask(files=[str(one.audio_filepath) for one in what])
                    told |= {"utterances": [one.id for one in what]}
                self.log.add(**told)
            for name, worker in workers.items():
                note = {"mode": "memory", "of": group, "system": name, "load_s": worker.load_s}
                self.log.add(**note, **worker.ask())
        finally:
            for worker in workers.values():
                worker.close()


def checked_weights(model: str, folder: Path) -> dict[str, Any]:
    """Convert and check the weights in a process of its own, once; return what it found."""
    path = folder / "checked.json"
    for _ in range(2):
        if path.exists():
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if set(record["left_out"]) == set(SYSTEMS):  # otherwise another version of this benchmark wrote it
                return record
        subprocess.run([sys.executable, "-m", "benchmarks.peers.weights", model, folder], check=True, cwd=ROOT)
    raise SystemExit(f"{path}: does not name every system; remove it")


def shuffled(systems: Sequence[str], turn: str) -> list[str]:
    return random.Random(turn).sample(list(systems), len(systems))


def stride(name: str) -> str:
    number = parse_point(name, "any").token_stride
    return "" if number == 1 else f"-s{number}"


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
