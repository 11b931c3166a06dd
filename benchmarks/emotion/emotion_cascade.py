"""Cascades of emotion recognisers on CREMA-D: a short clip or a small encoder first, more where it is in doubt.

    python -m benchmarks.emotion.emotion_cascade [--out RUN] [--threads N]

Frozen probes are swept over three folds into ``runs/emotion_cascade`` (resumable), then every pair of points, cheap to
dear, is replayed as ``allophone route emotion`` does: sign of doubt and threshold chosen on other speakers than those
judged, everything that ran charged. The share that may climb was fixed beforehand.
"""

from __future__ import annotations

from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

from allophone.cli.show import show_progress
from allophone.frontier.summarise import summarise_run
from allophone.routing.emotion import CascadeResult, read_candidates, route_emotion
from allophone.routing.thresholds import CalibrationTarget
from allophone.sweeps.emotion.run import sweep_emotion
from allophone.sweeps.emotion.space import EmotionSpace
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, markdown_table, stamp_line, write_result

RUN = RUNS / "emotion_cascade"
SPACE = EmotionSpace(
    model=sized(("tiny.en", "base"), ("tiny.en",)), duration_s=(3.0, 1.0), lora_rank=(0,), unfrozen_layers=(0,)
)
SHARE = 0.3


def main() -> None:
    """Sweep what is not there yet, replay the pairs, and write ``docs/results/emotion_cascade.json`` and ``.md``."""
    parser = command_line(__doc__)
    parser.add_argument("--out", type=Path, default=RUN)
    parser.add_argument("--threads", type=int, default=0)
    options = begin(parser)
    with show_progress() as progress:
        sweep_emotion(SPEECH / "crema-d", out=options.out, space=SPACE, threads=options.threads, progress=progress)
    summary = summarise_run(options.out)
    cheap_first = sorted(summary.points, key=lambda point: point.executed_gflops)
    found = [
        route_emotion(read_candidates(options.out, [one.name, other.name]), CalibrationTarget("big_share", SHARE))
        for one, other in combinations(cheap_first, 2)
        if other.executed_gflops > 1.2 * one.executed_gflops
    ]
    figures = {"points": {p.name: {"uar": p.uar, "gflops": p.executed_gflops} for p in cheap_first}}
    settings = {"big_share": SHARE, "folds": list(summary.run.folds), "precision": summary.run.precision}
    write_result("emotion_cascade", settings, figures | {"cascades": [facts(one) for one in found]}, page(found))


def facts(found: CascadeResult) -> dict[str, Any]:
    """What of a cascade is kept."""
    return {
        "points": [name for name, *_ in found.fixed],
        "uar": interval(found.uar),
        "over_chance": interval(found.over_chance),
        "p_above_chance": found.p_above,
        "over_last": interval(found.over_last),
        "gflops": found.gflops,
        "of_last_gflops": found.gflops / found.fixed[-1][2],
        "climbed": found.climbed,
        "oracle_uar": found.oracle_uar,
        "signals": found.signals,
        "recovered": {one.name: one.share if isfinite(one.share) else None for one in found.recoveries},
    }


def interval(value: Any) -> list[float]:
    """Estimate, low and high."""
    return [value.estimate, value.low, value.high]


def page(cascades: list[CascadeResult]) -> str:
    """Return the page of the results."""
    columns = (
        "first",
        "then",
        "UAR % alone",
        "cascade UAR %",
        "over chance",
        "over always the second",
        "of its GFLOPs",
    )
    rows = [
        (
            *(name for name, *_ in found.fixed),
            " and ".join(f"{100 * uar:.1f}" for _, uar, *_ in found.fixed),
            f"{100 * found.uar.estimate:.1f}",
            "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * value for value in interval(found.over_chance))),
            "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * value for value in interval(found.over_last))),
            f"{100 * found.gflops / found.fixed[-1][2]:.0f} %",
        )
        for found in cascades
    ]
    text = (
        f"Frozen probes on CREMA-D, {cascades[0].n_rows} decisions about {cascades[0].n_speakers} speakers, none of "
        "whom trained what hears them or chose how they are routed. About "
        f"{100 * SHARE:.0f} % may climb to the second point; differences in points of UAR with 95 % intervals over "
        "speakers, chance at equal mean GFLOPs. Pairs whose second point costs less than 1.2 times the first are left "
        f"out. {stamp_line()}."
    )
    return "\n".join(["# Cascades of emotion recognisers", "", text, "", markdown_table(columns, rows), ""])


if __name__ == "__main__":
    main()
