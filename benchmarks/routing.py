"""Routing between tiny.en and base: trained and calibrated on some speakers, reported on others, and under noise."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from allophone.audio.decode import load_audio
from allophone.costs.decider import decider_flops
from allophone.ledger.run_record import read_run
from allophone.routing.calibration import Wish, calibrate_policy, policy_samples
from allophone.routing.curve import break_even
from allophone.routing.evaluation import DomainResult, Evaluation, evaluate_policy
from allophone.routing.policy_file import read_policy
from allophone.routing.routers import Overhead
from allophone.routing.samples import RouteSamples, point_dimensions, read_route_samples
from allophone.routing.training import train_policy
from allophone.routing.transcriber import load_policy
from allophone.sweeps.run import sweep
from allophone.sweeps.space import SearchSpace
from recording import RESULTS, SPEECH, markdown_table, stamp_line, write_result

SPACE = SearchSpace(
    model=("tiny.en", "base"),
    context=("fit",),
    margin_s=(1,),
    floor_s=(0,),
    tail=("all", "every-4"),
    token_stride=(1,),
    beam_size=(1,),
)
POINTS = ("tiny.en-fit+1tall-s1-int8-b1", "base-fit+1tall-s1-int8-b1")
TRAIN = {"speechocean762-train": None, "librispeech-train-clean-5": 700}  # utterances drawn; None: all
REPORT = {"librispeech-test-other": None, "speechocean762-test": None}
FLOPS_SHARE = 0.62  # of always-big on the held-out speakers: room below the 0.65 that is to be met
SNRS_DB = (20, 10, 5, 0)
WITHIN = 0.003  # of always-big's error rate: where the saving is read off the curve
NOISY = 24  # utterances of each report set that noise is mixed into


def main() -> None:
    """Measure what is missing, train, calibrate on held-out speakers, and look at the report sets once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--train", type=Path, nargs="*", help="Runs to train on instead; nothing is measured then.")
    parser.add_argument("--policy", type=Path, default=Path("runs/routing-policy"))
    parser.add_argument("--reuse", action="store_true", help="Report the policy that is there instead of training.")
    asked = parser.parse_args()
    train = asked.train or [measure(asked.runs, name, count) for name, count in TRAIN.items()]
    report = [measure(asked.runs, name, count) for name, count in REPORT.items()]
    if asked.reuse:
        policy = read_policy(asked.policy)
    else:
        train_policy(train, POINTS, asked.policy)
        _, held, _ = policy_samples(asked.policy, train)
        budget = FLOPS_SHARE * held.flops[-1].mean() / 1e9
        policy = calibrate_policy(asked.policy, train, Wish("gflops", budget))
    found = evaluate_policy(asked.policy, report)
    orders = cost_orders(read_route_samples(report, POINTS))
    noise = under_noise(asked.policy, report)
    draw(found, noise)
    figures: dict[str, Any] = {
        "training": policy.training.model_dump(exclude={"speakers", "held_out"}),
        "calibration": policy.calibration.model_dump() if policy.calibration else None,
        "evaluation": json.loads(found.to_json()),
        "orders": orders,
        "noise": noise,
    }
    settings = {
        "points": POINTS,
        "train": [Path(run).name for run in policy.training.runs],
        "report": [run.name for run in report],
        "threads": read_run(report[0]).threads,
        "decision_s": policy.overhead_s,
        "snrs_db": SNRS_DB,
    }
    write_result("routing", settings, figures, page(found, figures, settings))


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
    if any(not (finished / f"{point}.parquet").is_file() for point in POINTS):
        sweep(manifest, out=out, plan="grid", space=SPACE, threads=1)
    return out


def cost_orders(samples: RouteSamples) -> list[dict[str, Any]]:
    """Say what each order of running costs: where it breaks even, and the least it can cost, deciders included."""
    small, big = (point_dimensions(point) for point in samples.points)
    tokens = [round(float(np.mean(samples.duration_s + 1) * 50))] * 2  # the fit context's audio tokens
    deciders = {
        "big_first": decider_flops(big, tokens[0]),
        "small_first": decider_flops(small, tokens[1]),
        "cascade": 0,
    }
    rows = []
    for order, flops in deciders.items():
        overhead = Overhead(flops=flops)
        wasted = {"big_first": samples.encoder_flops[-1], "small_first": 0.0, "cascade": 0.0}[order]
        least = (samples.flops[0] + wasted).mean() + flops
        rows.append(
            {
                "order": order,
                "decider_gflops": flops / 1e9,
                "least_of_big": float(least / samples.flops[-1].mean()),
                "break_even_flops": break_even(samples, order, overhead),  # type: ignore[arg-type]
                "break_even_seconds": break_even(samples, order, overhead, seconds=True),  # type: ignore[arg-type]
            }
        )
    return rows


def under_noise(policy: Path, runs: list[Path]) -> list[dict[str, float | None]]:
    """Mix noise into report utterances and count how many climb, by signal-to-noise ratio."""
    sounds = [load_audio(path) for path in sorted((SPEECH / "noise").glob("*.flac"))]
    clips = []
    for run in runs:
        lines = run.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
        picked = random.Random(11).sample(lines, NOISY)
        clips += [load_audio(Path(json.loads(line)["audio_filepath"])) for line in picked]
    running = load_policy(policy, threshold=float("inf"), threads=1)  # only the first point runs; scores tell the rest
    threshold = running.policy.threshold
    rows: list[dict[str, float | None]] = []
    for snr_db in (None, *SNRS_DB):
        rng = np.random.default_rng(3)  # the same noise and place at every ratio
        scores = [running.transcribe(mix(clip, sounds, snr_db, rng)).scores[0] for clip in clips]
        climbing = float(np.mean(np.array(scores) > threshold))
        rows.append({"snr_db": snr_db, "share_to_big": climbing, "mean_score": float(np.mean(scores))})
    return rows


def mix(clip: np.ndarray, sounds: list[np.ndarray], snr_db: int | None, rng: np.random.Generator) -> np.ndarray:
    """Add a stretch of one noise at a ratio of mean powers; None leaves the clip as it is."""
    sound = sounds[rng.integers(len(sounds))]
    start = int(rng.integers(max(1, sound.size - clip.size)))
    if snr_db is None:
        return clip
    noise = np.resize(sound[start:], clip.size)
    ratio = np.mean(clip**2) / max(float(np.mean(noise**2)), 1e-12)
    mixed: np.ndarray = np.clip(clip + noise * np.sqrt(ratio / 10 ** (snr_db / 10)), -1, 1).astype(np.float32)
    return mixed


def draw(found: Evaluation, noise: list[dict[str, float | None]]) -> None:
    """Draw the curves of every set, and the share that climbs under noise."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "allophone"
    drawn, axes = plt.subplots(1, len(found.results) + 1, figsize=(5 * (len(found.results) + 1), 4))
    for axis, result in zip(axes, found.results, strict=False):
        best = result.flops[0]
        gflops = best.cost / 1e9
        for name, values in (("random mixing", best.chance), ("oracle", best.oracle), (best.name, best.wer)):
            axis.plot(gflops, 100 * values, label=name)
        axis.scatter(
            [point[2] for point in result.fixed], [100 * point[1] for point in result.fixed], color="0.2", zorder=3
        )
        axis.axvspan(*np.quantile(gflops, (0.25, 0.75)), color="0.95", zorder=0)
        axis.set(title=f"{result.name} ({result.n_utterances})", xlabel="executed GFLOPs an utterance", ylabel="WER %")
        axis.legend(fontsize=8)
    labels = ["clean" if row["snr_db"] is None else str(row["snr_db"]) for row in noise]
    axes[-1].plot(labels, [100 * (row["share_to_big"] or 0.0) for row in noise], marker="o")
    axes[-1].set(title="under noise", xlabel="SNR, dB", ylabel="% sent to base", ylim=(0, 100))
    drawn.tight_layout()
    RESULTS.mkdir(parents=True, exist_ok=True)
    drawn.savefig(RESULTS / "routing.svg", metadata={"Date": None})
    plt.close(drawn)


def page(found: Evaluation, figures: dict[str, Any], settings: dict[str, Any]) -> str:
    """Return the page beside the JSON."""
    trained = figures["training"]
    held = figures["calibration"]
    parts = [
        "# Routing between tiny.en and base",
        f"Written by `benchmarks/routing.py`. Cascade from {POINTS[0]} to {POINTS[1]} with a choice between the two "
        f"transcripts. Trained on {trained['n_utterances']} utterances of {' and '.join(settings['train'])}; the "
        f"threshold was set on {held['n_utterances']} of {held['n_speakers']} other speakers, for at most "
        f"{held['value']:.1f} GFLOPs ({100 * FLOPS_SHARE:.0f} % of always-base there). "
        f"The report sets were replayed once, after everything was chosen. {stamp_line()}; "
        f"{settings['threads']} thread; other work ran on the machine at the same time, so seconds are rough.",
        f"Regressor: {trained['regressor']}. On training speakers that it had not seen it recovered "
        f"{100 * trained['recovered_share']:.0f} % "
        f"[{100 * trained['recovered_interval'][0]:.0f}, {100 * trained['recovered_interval'][1]:.0f}]. "
        f"One decision takes {1000 * settings['decision_s']:.2f} ms.",
        "![curves](routing.svg)",
        "## What the oracle gains over random mixing, and the share of it recovered at equal cost",
        markdown_table(
            ("set", "router", "recovered % (FLOPs)", "p above random", "least p at one cost", "recovered % (seconds)"),
            [row for result in found.results for row in _recovered(result)],
        ),
        "## At the calibrated threshold",
        markdown_table(
            ("set", "always tiny.en WER %", "always base WER %", "policy WER %", "minus always base", "% of base FLOPs",
             "% of base seconds", "% sent to base", "decided right %", "break-even share (FLOPs, seconds)"),
            [_standing(result) for result in found.results],
        ),
        *[line for result in found.results for line in _below(result)],
        "## What each order of running costs on these utterances",
        markdown_table(
            ("order", "decider GFLOPs", "least cost, % of base", "break-even share (FLOPs)", "(seconds)"),
            [
                (row["order"], f"{row['decider_gflops']:.2f}", f"{100 * row['least_of_big']:.0f}",
                 _even(row["break_even_flops"]), _even(row["break_even_seconds"]))
                for row in figures["orders"]
            ],
        ),
        "`big_first` is the published pipeline, its decider on the big encoder; least cost: nothing sent to base.",
        "## Under noise",
        markdown_table(
            ("SNR, dB", "% sent to base", "mean score"),
            [
                ("clean" if row["snr_db"] is None else f"{row['snr_db']}", f"{100 * row['share_to_big']:.0f}",
                 f"{row['mean_score']:.4f}")
                for row in figures["noise"]
            ],
        ),
        f"{2 * NOISY} utterances of the report sets, the same noise and place at every ratio, at the threshold above.",
    ]  # fmt: skip
    return "\n\n".join(parts)


def _recovered(result: DomainResult) -> list[tuple[str, ...]]:
    seconds = {item.name: item for item in result.seconds}
    return [
        (
            f"{result.name} ({result.n_utterances} utt., {result.n_speakers} speakers)",
            item.name,
            f"{100 * item.share:.0f} [{100 * item.interval.low:.0f}, {100 * item.interval.high:.0f}]",
            f"{item.p_above:.3f}",
            f"{item.p_lowest:.3f}",
            f"{100 * seconds[item.name].share:.0f} (p {seconds[item.name].p_above:.2f})",
        )
        for item in result.flops
    ]


def _standing(result: DomainResult) -> tuple[str, ...]:
    at = result.policy
    over = at.wer_over_last
    return (
        result.name,
        *(f"{100 * point[1]:.2f}" for point in result.fixed),
        f"{100 * at.wer.estimate:.2f} [{100 * at.wer.low:.2f}, {100 * at.wer.high:.2f}]",
        f"{100 * over.estimate:+.2f} [{100 * over.low:+.2f}, {100 * over.high:+.2f}]",
        f"{100 * at.flops_of_last:.0f}",
        f"{100 * at.seconds_of_last:.0f}",
        f"{100 * at.climbed:.0f}",
        f"{100 * at.accuracy:.0f} (all: {100 * at.accuracy_all:.0f})",
        f"{_even(result.break_even_flops)}, {_even(result.break_even_seconds)}",
    )


def _below(result: DomainResult) -> list[str]:
    best, big = result.flops[0], result.fixed[-1]
    below = (best.wer < big[1]) & (best.cost < 1e9 * big[2])
    if not below.any():
        return [f"{result.name}: the curve is nowhere below always-base's {100 * big[1]:.2f} % at less than its cost."]
    costs = best.cost[below] / (1e9 * big[2])
    near = best.wer <= big[1] + WITHIN
    time = result.seconds[0]
    near_s = time.wer <= big[1] + WITHIN
    return [
        f"{result.name}: the curve is below always-base's {100 * big[1]:.2f} % from {100 * costs.min():.0f} to "
        f"{100 * costs.max():.0f} % of its FLOPs; lowest {100 * best.wer[below].min():.2f} %. It is within "
        f"{100 * WITHIN:.1f} points of it from {100 * best.cost[near].min() / (1e9 * big[2]):.0f} % of its FLOPs on, "
        f"and from {100 * time.cost[near_s].min() / big[3]:.0f} % of its seconds on."
    ]


def _even(share: float | None) -> str:
    return "none" if share is None else f"{share:.2f}"


if __name__ == "__main__":
    main()
