"""Whether what a sweep says of times holds: identical points, the price of watching memory, the interval of the p95.

The A/A part sweeps four points that differ in nothing but a floor below every recording, again and again, and counts
the runs in which one of them is called dominated, or on the frontier, by a cost: both are wrong. It goes on where it
was stopped: what each run found is kept in the cache.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from allophone.cache import cache_folder
from allophone.corpora.manifest import read_manifest
from allophone.frontier.pareto import Frontier
from allophone.frontier.summarise import summarise_run
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import intervals
from allophone.measure.quantiles import resample_quantile
from allophone.models.engine import load_engine
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.recognition.peak_watch import PeakWatch
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.recognition.worker import Settings, Task, measure_task, warm_up
from allophone.sweeps.space import SearchSpace
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, write_result

SITTINGS = sized(20, 1)
SPEAKERS, EACH = sized((8, 3), (5, 1))  # the shortest recordings of each
FLOORS_S = (0.0, 0.2, 0.4, 0.6)  # every recording and its margin are longer
COSTS = ("rtf", "latency_p50_s", "latency_p95_s", "peak_memory_bytes")
ROUNDS = sized(6, 1)  # of every recording, watched and not
CORPORA, REPLICATES = sized((1000, 2000), (20, 200))
SPREADS = ((0.3, 0.5), (0.1, 0.6), (0.5, 0.3))  # of speakers and utterances, on the logarithm
SIZES = ((5, 20), (12, 12), (28, 4), (28, 11), (40, 10), (63, 4))  # speakers, utterances of each
LEVEL = 0.95


def main() -> None:
    """Write ``docs/results/statements_time.json``."""
    begin(command_line(__doc__))
    rows, figures = [], {}
    source = SPEECH / "librispeech-train-clean-5" / "manifest.jsonl"
    if source.exists():
        utterances = list(shortest(source))
        found = [identical_points(utterances, number) for number in range(SITTINGS)]
        rows += [verdict_row(found, cost) for cost in COSTS]
        figures["watched"] = watched_latency(utterances)
        figures["runs"] = found
    else:
        print("no real speech beside the checkout: the A/A part is left out")
    rows += [row for spread in SPREADS for size in SIZES for row in coverage(spread, size)]
    settings = {
        "model": "tiny.en, int8, fit, one thread",
        "floors_s": FLOORS_S,
        "utterances": SPEAKERS * EACH,
        "speakers": SPEAKERS,
        "rounds": ROUNDS,
        "corpora": CORPORA,
        "replicates": REPLICATES,
        "latencies": "log-normal; spreads of speakers and utterances on the logarithm",
    }
    write_result("statements_time", settings, {"rows": rows, **figures})


def shortest(manifest: Path) -> Iterator[Utterance]:
    """The shortest recordings of the first speakers."""
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(manifest):
        by_speaker.setdefault(utterance.speaker or "", []).append(utterance)
    for speaker in sorted(by_speaker)[:SPEAKERS]:
        yield from sorted(by_speaker[speaker], key=lambda one: one.duration_s or 0)[:EACH]


def identical_points(utterances: list[Utterance], number: int) -> dict[str, Any]:
    """Sweep points that are one, and return which verdicts they get; what was found once is kept."""
    kept = sized(cache_folder(), RUNS) / "statements_time" / f"{number}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    space = SearchSpace(
        model=("tiny.en",), context=("fit",), floor_s=FLOORS_S, token_stride=(1,), beam_size=(1,), guard=(False,)
    )
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "manifest.jsonl"
        lines = [
            json.dumps({"id": u.id, "audio_filepath": str(u.audio_filepath), "text": u.text, "speaker": u.speaker})
            for u in utterances
        ]
        corpus.write_text("\n".join(lines) + "\n", encoding="utf-8")
        started = perf_counter()
        sweep(corpus, out=Path(folder) / "run", space=space, plan="grid", threads=1)
        summary = summarise_run(Path(folder) / "run")
        found: dict[str, Any] = {"wall_s": perf_counter() - started, "floors": summary.samples.noise_floors}
        found["busy"] = any("Other work ran" in notice for notice in summary.notices)
        for cost in COSTS:
            points = Frontier.from_summary(summary, cost).points
            values = [getattr(point.summary, cost) for point in points]
            found[cost] = {"status": [point.status for point in points], "apart": max(values) / min(values) - 1}
        assert len({point.wer for point in summary.points}) == 1
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(found), encoding="utf-8")
    shutil.move(partial, kept)
    return found


def verdict_row(found: list[dict[str, Any]], cost: str) -> dict[str, Any]:
    """In how many runs no identical point was told from the others."""
    held = float(np.mean([set(run[cost]["status"]) == {"tied"} for run in found]))
    return row("identical points are not told apart", f"four points, by {cost}", LEVEL, held, len(found))


def watched_latency(utterances: list[Utterance]) -> dict[str, Any]:
    """Processor time of the timed phases as a sweep has it, over that of a sweep that watches no memory, in turns."""
    engine = load_engine("tiny.en", "int8", threads=1)
    warm_up(engine, "en")
    points = tuple(
        OperatingPoint(model="tiny.en", **knobs)
        for knobs in ({"context": "fit", "margin_s": 1.0, "tail": "all"}, {"context": "full"})
    )
    rng = np.random.default_rng(0)
    watches: dict[str, Callable[[], PeakWatch]] = {"watched": PeakWatch, "unwatched": NoWatch}
    taken: dict[tuple[str, str, str], list[float]] = {}
    in_use = {name: make() for name, make in watches.items()}
    for turn in range(ROUNDS):
        for index, utterance in enumerate(utterances):
            for name in rng.permutation(list(watches)):
                task = Task(turn * len(utterances) + index, utterance, points)
                for measured in measure_task(engine, task, Settings(threads=1), in_use[name]).rows:
                    taken.setdefault((name, measured.point, utterance.id), []).append(measured.cpu_s or 0.0)
        in_use["watched"] = PeakWatch()  # as every sitting of a sweep begins
    ratios = {}
    for point in points:
        totals = {
            name: sum(float(np.median(taken[name, point.name, one.id])) for one in utterances) for name in watches
        }
        ratios[point.name] = totals["watched"] / totals["unwatched"]
    return {"processor time, watched over unwatched": ratios, "recordings": len(utterances), "rounds": ROUNDS}


class NoWatch(PeakWatch):
    """Watches nothing."""

    def peaks(self, n_samples: int, runs: Any) -> dict[str, int]:
        del n_samples, runs
        return {}


def coverage(spread: tuple[float, float], size: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """How often the intervals of median and p95 hold the true ones."""
    n_speakers, each = size
    rng = np.random.default_rng((*size, *(round(100 * one) for one in spread)))
    of = np.repeat(np.arange(n_speakers), each)
    speakers = rng.standard_normal((CORPORA, n_speakers))[:, of]
    latency_s = np.exp(spread[0] * speakers + spread[1] * rng.standard_normal((CORPORA, of.size)))
    resample = draw_blocks([str(speaker) for speaker in of], n_replicates=REPLICATES)
    for name, share, normal in (("median", 0.5, 0.0), ("95th percentile", 0.95, 1.6449)):
        true = float(np.exp(normal * np.hypot(*spread)))
        held = float(np.mean([one.contains(true) for one in intervals(resample_quantile(latency_s, share, resample))]))
        cell = f"{of.size} utterances of {n_speakers} speakers, spreads {spread[0]:g} and {spread[1]:g}"
        yield row(f"the interval holds the {name} of latency", cell, LEVEL, held, CORPORA)


def row(statement: str, cell: str, stated: float, held: float, simulations: int) -> dict[str, Any]:
    """A row of the page of statements."""
    error = float(np.sqrt(max(held * (1 - held), 1 / simulations) / simulations))
    return {
        "statement": statement,
        "cell": cell,
        "stated": stated,
        "held": held,
        "standard_error": error,
        "simulations": simulations,
    }


if __name__ == "__main__":
    main()
