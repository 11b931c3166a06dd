"""Emotion recognition over model, duration and adaptation on CREMA-D, speaker-disjoint; resumable, cell by cell.

    python -m benchmarks.emotion.emotion_table --minutes 120  measure on, in order of usefulness, then summarise
    python -m benchmarks.emotion.emotion_table --only base-3s  only cells whose names hold the text
    python -m benchmarks.emotion.emotion_table --dry-run  print what would be measured, with predicted minutes
    python -m benchmarks.emotion.emotion_table --summarise  only write docs/results/emotion_table.json and .md

Every finished cell is one line of ``runs/emotion_table/cells-SHARD.jsonl``; a cell that is there is not measured again.
``--shard 0/2`` and ``--shard 1/2`` divide the cells between two processes. Nothing is chosen by the speakers reported:
recipes are the library's defaults, chosen on fold 3's test speakers; the best epoch is the validation speakers'.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from allophone.corpora.corpus import open_corpus
from allophone.corpora.splits import SplitFile, make_folds, read_splits, write_splits
from allophone.emotion.experiment import EmotionRun, run_setting
from allophone.emotion.recipe import default_recipe
from benchmarks.emotion.cells import FOLDS, Cell, planned_cells, predicted_flops
from benchmarks.emotion.findings import summarise_cells
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH

CELLS = RUNS / "emotion_table"
CREMA_D = SPEECH / "crema-d"
FIRST_RATE = 3e10  # FLOPs a second assumed before anything was measured
ENOUGH_FLOPS = 1e13
OVERHEAD_S = 60.0  # loading, reading the corpus, timing


def main() -> None:
    """Measure what is not there yet, and summarise."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.summarise:
        measure(options)
    if not options.dry_run:
        summarise_cells(read_cells(options.out), publish=options.out == CELLS)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no cell that would end later")
    parser.add_argument("--limit", type=int, default=sized(10**6, 1), help="most cells to measure")
    parser.add_argument("--only", default="", help="text that a cell's name must hold")
    parser.add_argument("--shard", default="0/1", help="which part of the cells, of how many")
    parser.add_argument("--corpus", default=str(CREMA_D), help="another corpus, for a trial; give --out too")
    parser.add_argument("--out", type=Path, default=CELLS, help="folder of the cells")
    parser.add_argument("--precision", default="auto", help="float32, bfloat16 or auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--summarise", action="store_true")
    return begin(parser)


def measure(options: argparse.Namespace) -> None:
    """Run cells until the time or the limit is used up."""
    corpus = open_corpus(options.corpus)
    path = options.out / "split.json"
    if not path.is_file():
        write_splits(path, make_folds(corpus, folds=FOLDS))
    splits = read_splits(path, corpus)
    done = {cell["cell"]: cell for cell in read_cells(options.out)}
    shard, shards = (int(part) for part in options.shard.split("/"))
    waiting = [cell for cell in planned_cells() if options.only in cell.name and cell.name not in done]
    waiting = waiting[shard::shards][: options.limit]
    started = perf_counter()
    settings = {cell["cell"].rpartition("-fold")[0] for cell in done.values()}
    rates = [rate for cell in done.values() for rate in measured_rate(cell)]
    for cell in waiting:
        flops = predicted_flops(cell, filled=cell.setting.name in settings)
        predicted_s = OVERHEAD_S + flops / (median(rates) if rates else FIRST_RATE)
        settings.add(cell.setting.name)
        if options.dry_run:
            print(f"{cell.name}: about {predicted_s / 60:.1f} min")
            continue
        if perf_counter() - started + predicted_s > 60 * options.minutes:
            break
        line = {"predicted_flops": flops, **run_cell(cell, corpus, splits, options)}
        rates += measured_rate(line)
        with (options.out / f"cells-{shard}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{cell.name}: UAR {100 * line['uar']:.1f} %, {line['wall_s']:.0f} s", flush=True)


def run_cell(cell: Cell, corpus: Any, splits: SplitFile, options: argparse.Namespace) -> dict[str, Any]:
    """Train and test one cell; what was begun before a kill goes on from its checkpoint."""
    started = perf_counter()
    folder = options.out / "work" / cell.name
    run: EmotionRun = run_setting(
        cell.setting,
        corpus,
        splits,
        f"fold-{cell.fold}",
        recipe=default_recipe(cell.setting, seed=cell.seed),
        precision=options.precision,
        out=folder,
        timed_rows=32,
        device=options.device,
        threads=options.threads,
    )
    for file in folder.glob("*.pt"):  # the optimizer's state is large and no longer needed
        file.unlink()
    labels = run.record.labels
    return {
        "cell": cell.name,
        "setting": cell.setting.model_dump(),
        "fold": cell.fold,
        "seed": cell.seed,
        "wall_s": perf_counter() - started,
        "uar": run.recognition.uar,
        "record": run.record.model_dump(mode="json"),
        "rows": [
            [
                row.utterance_id,
                row.speaker,
                labels.index(row.label),
                None if row.error else max(range(len(labels)), key=row.posterior.__getitem__),
                None if row.error else round(max(row.posterior), 4),
            ]
            for row in run.rows
        ],
    }


def measured_rate(cell: dict[str, Any]) -> list[float]:
    """FLOPs a second of a cell that had enough of them to say; a probe on a filled cache has not."""
    return [cell["predicted_flops"] / cell["wall_s"]] if cell["predicted_flops"] > ENOUGH_FLOPS else []


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """All finished cells, whichever process measured them; a line that a kill cut short is passed over."""
    cells = {}
    for path in sorted(folder.glob("cells-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                cell = json.loads(line)
            except ValueError:
                continue
            cells[cell["cell"]] = cell
    return list(cells.values())


if __name__ == "__main__":
    main()
