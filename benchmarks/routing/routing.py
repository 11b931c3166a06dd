"""Routing between tiny.en and base: trained and calibrated on some speakers, reported on others, and under noise.

Four policies are trained alike, on the same runs, and set to the same budget on the same held-out speakers: a cascade,
a cascade whose first point sees less of the silence tail (cheaper in seconds), and two deciders that look at the small
encoder's output or at the log-mel alone. The report sets are replayed once, after everything was chosen.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from allophone.ledger.run_record import read_run
from allophone.routing.calibration import calibrate_policy, policy_samples
from allophone.routing.evaluation import evaluate_policy
from allophone.routing.policy_file import PolicyFile, PolicyKind, read_policy
from allophone.routing.samples import read_route_samples
from allophone.routing.thresholds import CalibrationTarget
from allophone.routing.training import train_policy
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from benchmarks.routing.drawing import draw
from benchmarks.routing.figures import Judged, below_big, cost_orders, figures_of, headline, pace_of_runs, parts_of
from benchmarks.routing.noise import SNRS_DB, under_noise
from benchmarks.routing.page import page
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, read_result, rewrite_result, write_result

SPACE = SearchSpace(
    model=("tiny.en", "base"),
    context=("fit",),
    margin_s=(1,),
    floor_s=(0,),
    tail=("all", "every-4"),
    guard=(False,),
    token_stride=(1,),
    beam_size=(1,),
)
POINTS = ("tiny.en-fit+1tall-s1-int8-b1", "base-fit+1tall-s1-int8-b1")
LIGHT_POINTS = ("tiny.en-fit+1t4-s1-int8-b1", POINTS[1])
TRAIN = {"speechocean762-train": None, "librispeech-train-clean-5": sized(700, 48)}  # utterances drawn; None: all
REPORT = {"librispeech-test-other": None, "speechocean762-test": None}
FLOPS_SHARE = 0.62  # of always-big on the held-out speakers: room below the 0.65 that is to be met


@dataclass(frozen=True, slots=True)
class Asked:
    """One policy to train.

    Args:
        folder: Behind the folder of the cascade.
        kind: As ``route train`` takes it.
        reads: What a decider looks at.
        points: Cheap to dear.
    """

    folder: str
    kind: PolicyKind
    reads: Literal["encoder", "mel"] = "encoder"
    points: tuple[str, str] = POINTS


POLICIES = {
    "cascade": Asked("", "cascade"),
    "light cascade": Asked("-light", "cascade", points=LIGHT_POINTS),
    "decider on encoder": Asked("-encoder", "decider"),
    "decider on mel": Asked("-mel", "decider", "mel"),
}


def main() -> None:
    """Measure what is missing, train, calibrate on held-out speakers, and look at the report sets once."""
    parser = command_line(__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--train", type=Path, nargs="*", help="Runs to train on instead; none is measured then.")
    parser.add_argument("--report", type=Path, nargs="*", help="Runs to report on instead; none is measured then.")
    parser.add_argument("--policy", type=Path, default=RUNS / "routing-policy", help="The cascade's folder.")
    parser.add_argument("--reuse", action="store_true", help="Report the policies that are there, without training.")
    parser.add_argument("--derive", action="store_true", help="Only add what follows from the figures that are there.")
    asked = begin(parser)
    if asked.derive:
        record = read_result("routing")
        record["figures"]["headline"] = headline(record["figures"])
        rewrite_result(record)
        return
    train = asked.train or [measure(asked.runs, name, count) for name, count in TRAIN.items()]
    report = asked.report or [measure(asked.runs, name, count) for name, count in REPORT.items()]
    judged = {}
    for name, wanted in POLICIES.items():
        folder = asked.policy.with_name(asked.policy.name + wanted.folder)
        card = read_policy(folder) if asked.reuse else trained(folder, wanted, train)
        judged[name] = Judged(name, folder, card, evaluate_policy(folder, report))
    noise = under_noise(asked.policy, report, asked.runs / "routing-noise.json")
    figures: dict[str, Any] = {
        "policies": {name: figures_of(item) for name, item in judged.items()},
        "orders": cost_orders(read_route_samples(report, POINTS)),
        "below_big": [row for item in judged.values() for row in below_big(item)],
        "parts": {name: parts_of(item, report) for name, item in judged.items()},
        "pace": pace_of_runs([*train, *report], POINTS),
        "noise": noise,
    }
    figures["headline"] = headline(figures)
    settings = {
        "points": POINTS,
        "light_points": LIGHT_POINTS,
        "train": [run.name for run in train],
        "report": [run.name for run in report],
        "flops_share": FLOPS_SHARE,
        "threads": read_run(report[0]).threads,
        "snrs_db": SNRS_DB,
    }
    draw(list(judged.values()), noise)
    write_result("routing", settings, figures, page(list(judged.values()), figures, settings))


def trained(folder: Path, wanted: Asked, runs: list[Path]) -> PolicyFile:
    """Train a policy on those runs that measured its points, and set it to the budget on held-out speakers."""
    runs = [run for run in runs if set(wanted.points) <= {point.name for point in read_run(run).points}]
    train_policy(runs, wanted.points, folder, kind=wanted.kind, reads=wanted.reads)
    _, held, _ = policy_samples(folder, runs)
    return calibrate_policy(folder, runs, CalibrationTarget("gflops", FLOPS_SHARE * held.flops[-1].mean() / 1e9))


def measure(runs: Path, name: str, count: int | None) -> Path:
    """Sweep a set, or a draw of it; what is measured already is kept."""
    out = runs / f"routing-{name}"
    source = SPEECH / name
    rows = [json.loads(line) for line in (source / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: str(row["id"]))
    if count is not None:
        random.Random(7).shuffle(rows)
        rows = rows[:count]
    for row in rows:
        row["audio_filepath"] = str(source / row["audio_filepath"])
    manifest = out.with_suffix(".jsonl")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    finished = out / "measurements"
    if any(not (finished / f"{point}.parquet").is_file() for point in (*POINTS, *LIGHT_POINTS)):
        sweep(manifest, out=out, plan="grid", space=SPACE, threads=1, extend=True)
    return out


if __name__ == "__main__":
    main()
