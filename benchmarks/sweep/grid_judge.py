"""Judge the searches against the measured grid, by replay, and write the page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from allophone.frontier.dominance import frontier_mask, hypervolume
from allophone.frontier.pareto import Frontier
from allophone.frontier.summarise import summarise_run
from allophone.ledger.readers import connect
from allophone.ledger.run_record import RecognitionRunRecord, read_run
from allophone.sweeps.race import race_order
from allophone.sweeps.recognition.run import sweep
from benchmarks.shared.quick import sized
from benchmarks.shared.recording import markdown_table, spread, write_result
from benchmarks.sweep.grid import CORPUS, DRAW_SEED, RULE, SPACE, kept, write_manifest
from benchmarks.sweep.replay import Rows, read_rows, replaying

COST = "rtf"
SEEDS = sized((1, 2, 3, 4, 5), (1,))
SPENDS = sized((0.05, 0.1, 0.15, 0.2), (0.5,))
TRIALS = sized((12, 24, 36), (3,))


@dataclass(frozen=True, slots=True)
class Grid:
    """The exhaustive grid: what every search is held against.

    Args:
        rows: All rows.
        values: Word error rate and cost of every point on the whole corpus.
        frontier: Points that no other dominates as measured.
        tied: For each of them, the points that cannot be told from it at 0.95.
        reference: A tenth worse than the worst frontier point in either objective.
        engine_s: Seconds of all rows, each as its point alone would pay.
        flops: Executed FLOPs of all rows.
        record: The grid's run.
    """

    rows: Rows
    values: dict[str, tuple[float, float]]
    frontier: tuple[str, ...]
    tied: dict[str, frozenset[str]]
    reference: tuple[float, float]
    engine_s: float
    flops: float
    record: RecognitionRunRecord

    def volume(self, points: Iterable[str]) -> float:
        """Hypervolume of some points, by their values on the whole corpus."""
        return hypervolume(np.array([self.values[name] for name in points]), self.reference)


def judge_searches(out: Path) -> None:
    """Replay every search at every budget and seed, and write ``docs/results/grid_search``."""
    manifest, grid = write_manifest(out), read_grid(out)
    searches: list[tuple[dict[str, Any], Any]] = [({"search": "uniform", "spend": spend}, None) for spend in SPENDS]
    searches += [
        ({"search": "race", "spend": spend}, partial(sweep, plan="race", spend=spend)) for spend in (*SPENDS, None)
    ]
    searches += [
        (
            {"search": "joint", "spend": spend, "trials": trials},
            partial(sweep, plan="joint", spend=spend, trials=trials),
        )
        for trials in TRIALS
        for spend in (0.1, 0.2)
    ]
    results = []
    for asked, search in searches:
        trials_of_seeds = []
        for seed in SEEDS:
            with tempfile.TemporaryDirectory() as folder:
                if search is None:
                    found, spent = look_uniformly(grid, manifest, float(asked["spend"]), seed)
                else:
                    run = Path(folder) / "run"
                    search(
                        manifest, out=run, space=SPACE, keep=kept, threads=1, cost=COST, seed=seed,
                        executor=replaying(grid.rows),
                    )  # fmt: skip
                    found, spent = frontier_of(run), rows_of(run)
            trials_of_seeds.append(judge_one(grid, found, spent))
        results.append({**asked, "seeds": trials_of_seeds, **summed(trials_of_seeds)})
        print(f"{asked}: {summed(trials_of_seeds)}", flush=True)
    settings = {
        "space": SPACE.model_dump(), "rule": RULE, "points": len(grid.record.points),
        "corpus": CORPUS, "utterances": grid.record.n_utterances, "draw_seed": DRAW_SEED, "cost": COST,
        "seeds": SEEDS, "threads": grid.record.threads, "measured_on": grid.record.machine.model_dump(),
        "reference": {"wer": grid.reference[0], COST: grid.reference[1]},
    }  # fmt: skip
    figures = {
        "grid": {
            "engine_s": grid.engine_s,
            "frontier": {name: dict(zip(("wer", COST), grid.values[name], strict=True)) for name in grid.frontier},
        },
        "searches": results,
    }
    write_result("grid_search", settings, figures, page(grid, results))


def read_grid(out: Path) -> Grid:
    """Read the finished grid, its frontier and which points are tied."""
    frontier = Frontier.from_run(out, COST)
    rows, record = read_rows(out), read_run(out)
    if len(rows) != len(record.points) * record.n_utterances:
        raise SystemExit(f"{out}: {len(rows)} rows; the grid is not whole. Let the stage 'measure' finish.")
    on = [point for point in frontier.points if point.nondominated]
    values = {point.name: (point.summary.wer, point.summary.rtf) for point in frontier.points}
    worst = np.array([values[point.name] for point in on]).max(axis=0)
    return Grid(
        rows=rows,
        values=values,
        frontier=tuple(point.name for point in on),
        tied={point.name: frozenset(point.tied_with) for point in on},
        reference=(1.1 * float(worst[0]), 1.1 * float(worst[1])),
        engine_s=sum(row.latency_s for row in rows.values()),
        flops=sum(row.executed_flops for row in rows.values()),
        record=record,
    )


def look_uniformly(grid: Grid, manifest: Path, spend: float, seed: int) -> tuple[list[str], list[tuple[str, int]]]:
    """The plain alternative: every point on the same share of the utterances; its frontier there and its rows."""
    from allophone.corpora.corpus import open_corpus

    utterances = list(open_corpus(manifest))
    heard = race_order(utterances, seed)[: round(spend * len(utterances))]
    sums = []
    for name in grid.values:
        rows = [grid.rows[name, index] for index in heard]
        errors = sum(row.substitutions + row.insertions + row.deletions for row in rows)
        words = sum(row.hits + row.substitutions + row.deletions for row in rows)
        sums.append((errors / words, sum(row.latency_s for row in rows) / sum(row.duration_s for row in rows)))
    names = np.array(list(grid.values))
    return list(names[frontier_mask(np.array(sums))]), [(name, index) for name in grid.values for index in heard]


def frontier_of(run: Path) -> list[str]:
    """The points that a search ends with on its frontier, as it measured them."""
    points = summarise_run(run).points
    on = frontier_mask(np.array([(point.wer, point.rtf) for point in points]))
    return [point.name for point, kept_on in zip(points, on, strict=True) if kept_on]


def rows_of(run: Path) -> list[tuple[str, int]]:
    """Every row that a search measured, points that it gave up included."""
    with connect(run) as connection:
        return [
            (str(p), int(i))
            for p, i in connection.execute("SELECT point, utterance_index FROM measurements").fetchall()
        ]


def judge_one(grid: Grid, found: Sequence[str], spent: Sequence[tuple[str, int]]) -> dict[str, Any]:
    """Cost and success of one search."""
    missed = [name for name in grid.frontier if name not in found]
    return {
        "engine_share": sum(grid.rows[key].latency_s for key in spent) / grid.engine_s,
        "flops_share": sum(grid.rows[key].executed_flops for key in spent) / grid.flops,
        "hypervolume_share": grid.volume(found) / grid.volume(grid.frontier),
        "points_tried": len({name for name, _ in spent}),
        "frontier_found": len(grid.frontier) - len(missed),
        "neither_found_nor_tied": [name for name in missed if not grid.tied[name] & set(found)],
        "found": list(found),
    }


def summed(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Median and range over the seeds."""
    numbers = ("engine_share", "flops_share", "hypervolume_share", "frontier_found")
    lost = [len(trial["neither_found_nor_tied"]) for trial in trials]
    return {**{name: spread([trial[name] for trial in trials]) for name in numbers}, "lost": spread(lost)}


def page(grid: Grid, results: Sequence[dict[str, Any]]) -> str:
    """The page in words and tables."""
    machine, record = grid.record.machine, grid.record

    def cell(result: dict[str, Any], name: str, scale: float = 100, digits: int = 1) -> str:
        values = result[name]
        low, high = (f"{scale * values[end]:.{digits}f}" for end in ("least", "greatest"))
        return f"{scale * values['median']:.{digits}f} [{low}, {high}]"

    rows = [
        (
            result["search"] + (f", {result['trials']} trials" if "trials" in result else ""),
            "none" if result["spend"] is None else f"{100 * result['spend']:.0f} %",
            cell(result, "engine_share"),
            cell(result, "flops_share"),
            cell(result, "hypervolume_share"),
            f"{cell(result, 'frontier_found', 1, 0)} of {len(grid.frontier)}",
            cell(result, "lost", 1, 0),
            f"{sum(not trial['neither_found_nor_tied'] for trial in result['seeds'])} of {len(result['seeds'])}",
        )
        for result in results
    ]
    heads = (
        "search", "allowed", "engine time %", "executed FLOPs %", "hypervolume %", "frontier points found",
        "neither found nor tied", "seeds that lost none",
    )  # fmt: skip
    points = [(name, f"{100 * grid.values[name][0]:.2f}", f"{grid.values[name][1]:.4f}") for name in grid.frontier]
    return "\n\n".join(
        [
            "# An exhaustive grid against race and joint search",
            f"Written by `benchmarks/sweep/grid_search.py`. The grid: {len(record.points)} points ({RULE}), each on "
            f"{record.n_utterances} utterances of {CORPUS} drawn over all {record.n_speakers} speakers with seed "
            f"{DRAW_SEED}; {machine.processor}, {record.threads} thread, ctranslate2 "
            f"{machine.packages.get('ctranslate2')}, {grid.engine_s / 3600:.2f} h of engine time, each row charged "
            "what its point alone would pay.",
            f"The searches are the real ones; their tasks are answered from the grid's rows. Shares are of the "
            f"whole grid. Objectives: word error rate and real-time factor. Hypervolume: of a search's frontier by its "
            f"values on the whole corpus, over the grid frontier's, reference a tenth worse than the worst frontier "
            f"point (WER {100 * grid.reference[0]:.2f} %, RTF {grid.reference[1]:.4f}). A frontier point counts as "
            f"lost when it is neither on the search's frontier nor tied with a point there (paired, speaker-blocked "
            f"bootstrap of the grid, confidence 0.95). Median and range of {len(SEEDS)} seeds. `uniform` is the plain "
            "alternative: every point on that share of the utterances. Rules and levels of the searches were chosen on "
            "simulated corpora, none of them on these utterances.",
            markdown_table(heads, rows),
            "The grid's frontier as measured:",
            markdown_table(("point", "WER %", "RTF"), points),
        ]
    )
