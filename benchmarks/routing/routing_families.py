"""Routing across model families: does a cascade from Moonshine to Whisper base earn what one from tiny.en earns?

Question 2 that arXiv 2309.12712 leaves open. Two cascades to the same big point, trained on the same utterances, set to
the same budget on the same held-out speakers, judged once on the same report sets. Whisper's training rows are taken
over from runs of other benchmarks where those are there; the report sets are measured here at one sitting, all points.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allophone.ledger.run_record import read_run
from allophone.routing.calibration import calibrate_policy, policy_samples
from allophone.routing.evaluation import DomainResult, evaluate_policy
from allophone.routing.thresholds import CalibrationTarget
from allophone.routing.training import train_policy
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, markdown_table, stamp_line, write_result

BIG = "base-fit+1tall-s1-int8-b1"
SMALL = {"moonshine-tiny": "moonshine-tiny-fit+0-s1-int8-b1", "tiny.en": "tiny.en-fit+1tall-s1-int8-b1"}
TRAIN = {  # utterances drawn, and the run that may hold Whisper's rows of them
    "speechocean762-train": (sized(300, 72), "routing-speechocean762-train"),
    "librispeech-train-clean-5": (sized(150, 72), "grid-train-clean-5"),
}
REPORT = ("librispeech-test-other", "speechocean762-test")
HOLD_OUT = 0.3  # of few utterances, so that a hundred are left to calibrate on
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)  # of always-base's FLOPs, at which the cascades are set side by side
FLOPS_SHARE = 0.62  # of always-base on the held-out speakers, as in routing.py


def main() -> None:
    """Measure what is missing, train both cascades, set both to one budget, look at the report sets once."""
    parser = command_line(__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS)
    asked = begin(parser)
    train = [training_run(asked.runs, name, *drawn) for name, drawn in TRAIN.items()]
    report = [measured_run(asked.runs / f"families-{name}", SPEECH / name / "manifest.jsonl", None) for name in REPORT]
    figures = []
    for small, point in SMALL.items():
        folder = asked.runs / f"families-policy-{small}"
        policy = train_policy(train, (point, BIG), folder, hold_out=HOLD_OUT)
        _, held, _ = policy_samples(folder, train)
        policy = calibrate_policy(folder, train, CalibrationTarget("gflops", FLOPS_SHARE * held.flops[-1].mean() / 1e9))
        found = evaluate_policy(folder, report)
        figures.append(
            {
                "small": small,
                "training": policy.training.model_dump(exclude={"speakers", "held_out", "candidates"}),
                "calibration": policy.calibration.model_dump() if policy.calibration else None,
                "sets": [figures_of(result) for result in found.results],
            }
        )
    settings = {"points": SMALL, "big": BIG, "threads": read_run(report[0]).threads, "flops_share": FLOPS_SHARE}
    write_result("routing_families", settings, {"cascades": figures}, page(figures))


def training_run(runs: Path, name: str, count: int, known: str) -> Path:
    """Measure a draw of a training set; Whisper's rows are taken over where a run has them."""
    source = (runs / known).with_suffix(".jsonl")
    if not (runs / known / "measurements" / f"{BIG}.parquet").is_file():
        source = SPEECH / name / "manifest.jsonl"
    out = runs / f"families-{name}"
    manifest = write_manifest(out, source, count)
    sweep(manifest, out=out, plan="grid", space=space(("moonshine-tiny",)), threads=1, extend=True)
    for point in (SMALL["tiny.en"], BIG):
        take_over(runs / known, out, manifest, point)
    return measured_run(out, source, count)


def measured_run(out: Path, source: Path, count: int | None) -> Path:
    """Measure all points on a manifest, or on a draw of it; what is measured already is kept."""
    sweep(
        write_manifest(out, source, count),
        out=out,
        plan="grid",
        space=space(("moonshine-tiny", "tiny.en", "base")),
        threads=1,
        extend=True,
    )
    return out


def space(models: tuple[str, ...]) -> SearchSpace:
    """Return each model at its default context, greedy."""
    return SearchSpace(
        model=models, context=("fit",), margin_s=(1,), tail=("all",), guard=(False,), token_stride=(1,), beam_size=(1,)
    )


def write_manifest(out: Path, source: Path, count: int | None) -> Path:
    """Write the manifest of a draw, with absolute paths."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: str(row["id"]))
    if count is not None:
        random.Random(13).shuffle(rows)
        rows = rows[:count]
    for row in rows:
        row["audio_filepath"] = str(source.parent / row["audio_filepath"])
    manifest = out.with_suffix(".jsonl")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return manifest


def take_over(known: Path, out: Path, manifest: Path, point: str) -> None:
    """Copy a point's rows of a manifest's utterances from another run, if it has them all."""
    source, target = (folder / "measurements" / f"{point}.parquet" for folder in (known, out))
    if target.is_file() or not source.is_file():
        return
    rows = {row["utterance_id"]: row for row in pq.read_table(source).to_pylist()}
    wanted = [json.loads(line)["id"] for line in manifest.read_text(encoding="utf-8").splitlines()]
    if all(name in rows for name in wanted):
        taken = [rows[name] | {"utterance_index": place} for place, name in enumerate(wanted)]
        pq.write_table(pa.Table.from_pylist(taken, schema=pq.read_schema(source)), target)


def figures_of(result: DomainResult) -> dict[str, Any]:
    """Return what the page shows of one set."""
    best, seconds, at = result.flops[0], result.seconds[0], result.policy
    return {
        "set": result.name,
        "n_utterances": result.n_utterances,
        "n_speakers": result.n_speakers,
        "points": [dict(zip(("point", "wer", "gflops", "seconds"), item, strict=True)) for item in result.fixed],
        "recovered_flops": [best.share, best.interval.low, best.interval.high, best.p_above],
        "recovered_seconds": [seconds.share, seconds.p_above],
        "wer_at_share_of_big": {f"{share:g}": wer_at(result, share) for share in SHARES},
        "baselines_recovered": {item.name: item.share for item in result.flops[1:]},
        "wer": [at.wer.estimate, at.wer.low, at.wer.high],
        "wer_over_big": [at.wer_over_last.estimate, at.wer_over_last.low, at.wer_over_last.high],
        "flops_of_big": at.flops_of_last,
        "seconds_of_big": at.seconds_of_last,
        "sent_to_big": at.share_escalated,
        "break_even_flops": result.break_even_flops,
        "warning": result.warning,
    }


def wer_at(result: DomainResult, share: float) -> float | None:
    """Return the cascade's error rate where it spends a share of always-base's FLOPs; None where it cannot."""
    best = result.flops[0]
    cost, known = share * 1e9 * result.fixed[-1][2], np.isfinite(best.wer)
    if not best.cost[known].min() <= cost <= best.cost[known].max():
        return None
    return float(np.interp(cost, best.cost[known], best.wer[known]))


def page(figures: list[dict[str, Any]]) -> str:
    """Return the page beside the JSON."""
    trained = figures[0]["training"]
    fixed: dict[tuple[str, str], dict[str, Any]] = {}
    for cascade in figures:
        for found in cascade["sets"]:
            fixed |= {(found["set"], point["point"]): point for point in found["points"]}
    rows = [(cascade["small"], found["set"], *_standing(found)) for cascade in figures for found in cascade["sets"]]
    return "\n\n".join(
        [
            "# Routing across model families: Moonshine to Whisper",
            "Written by `benchmarks/routing/routing_families.py`. "
            f"Cascades from {' and '.join(SMALL.values())} to {BIG}, with "
            f"a choice between the two transcripts, trained on {trained['n_utterances']} utterances of "
            f"{' and '.join(TRAIN)}; both thresholds were set on the same other speakers, to {100 * FLOPS_SHARE:.0f} % "
            "of always-base's FLOPs. The report sets were replayed once, their times are of one sitting, one "
            f"thread, while other work ran on the machine: rough. {stamp_line()}.",
            "## Each point alone",
            markdown_table(
                ("set", "point", "WER %", "GFLOPs an utterance", "seconds"),
                [
                    (key[0], key[1], f"{100 * item['wer']:.2f}", f"{item['gflops']:.1f}", f"{item['seconds']:.2f}")
                    for key, item in sorted(fixed.items())
                ],
            ),
            "## The cascades",
            markdown_table(
                ("from", "set", "WER %", "minus always base", "% of base FLOPs", "% of base seconds", "% sent to base",
                 "recovered % (FLOPs)", "p above random", "recovered % (seconds)", "break-even share"),
                rows,
            ),
            "## At equal cost",
            markdown_table(
                ("from", "set", *(f"WER % at {100 * share:.0f} % of base FLOPs" for share in SHARES)),
                [
                    (cascade["small"], found["set"], *map(_percent, found["wer_at_share_of_big"].values()))
                    for cascade in figures
                    for found in cascade["sets"]
                ],
            ),
            "Recovered: share of what an oracle gains over random mixing at equal cost, over the middle half of costs.",
        ]
    )  # fmt: skip


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _standing(found: dict[str, Any]) -> tuple[str, ...]:
    def triple(values: list[float], sign: str = "") -> str:
        return f"{100 * values[0]:{sign}.2f} [{100 * values[1]:{sign}.2f}, {100 * values[2]:{sign}.2f}]"

    share, low, high, p_above = found["recovered_flops"]
    even = found["break_even_flops"]
    return (
        triple(found["wer"]),
        triple(found["wer_over_big"], "+"),
        f"{100 * found['flops_of_big']:.0f}",
        f"{100 * found['seconds_of_big']:.0f}",
        f"{100 * found['sent_to_big']:.0f}",
        f"{100 * share:.0f} [{100 * low:.0f}, {100 * high:.0f}]",
        f"{p_above:.3f}",
        f"{100 * found['recovered_seconds'][0]:.0f} (p {found['recovered_seconds'][1]:.2f})",
        "none" if even is None else f"{even:.2f}",
    )


if __name__ == "__main__":
    main()
