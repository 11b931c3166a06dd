"""The routing page, from figures computed elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

from allophone.routing.evaluation import DomainResult
from benchmarks.routing.figures import SHARES, WITHIN, Judged, at_shares, shown_routers
from benchmarks.routing.noise import NOISY
from benchmarks.shared.recording import markdown_table, stamp_line

_PARTS = {
    "small_before_decoding": "small point, before decoding",
    "small_decoding": "small point, decoding",
    "big_before_decoding": "base, before decoding",
    "big_decoding": "base, decoding",
    "reading_confidence": "reading confidence",
    "deciding": "deciding",
    "total": "all",
}


def page(judged: Sequence[Judged], figures: dict[str, Any], settings: dict[str, Any]) -> str:
    """Return the page beside the JSON."""
    cascade, light = judged[0], judged[1]
    places = range(len(cascade.found.results))
    shares = [f"WER % at {100 * share:.0f} % of base" for share in SHARES]
    parts = [
        "# Routing between tiny.en and base",
        f"Written by `benchmarks/routing/routing.py`. From {settings['points'][0]} to {settings['points'][1]}; "
        f"the light cascade starts from {settings['light_points'][0]}. A cascade decides on the finished small "
        "transcript and, once both exist, chooses between them; a decider decides before any decoding, on statistics "
        "of the log-mel, and of the small encoder's output where it reads that. Each is trained on those of the runs "
        f"{', '.join(settings['train'])} that measured its points, and its threshold set on held-out speakers of them, "
        f"for {100 * settings['flops_share']:.0f} % of always-base's GFLOPs there. The report sets were replayed once, "
        f"after everything was chosen; other policies had been reported on them before. {stamp_line()}; "
        f"{settings['threads']} thread; other work ran on the machine at the same time, so seconds are rough.",
        markdown_table(
            ("policy", "trained on", "threshold set on", "regressor", "recovered % on unseen training speakers",
             "one decision, ms"),
            [_training(item) for item in judged],
        ),
        "![curves](routing.svg)",
        "## Each point alone",
        markdown_table(
            ("set", "point", "WER %", "GFLOPs an utterance", "seconds"),
            [
                (result.name, name, f"{100 * wer:.2f}", f"{gflops:.2f}", f"{seconds:.2f}")
                for place in places
                for result in (cascade.found.results[place],)
                for name, wer, gflops, seconds in sorted({*result.fixed, *light.found.results[place].fixed})
            ],
        ),
        "## What the oracle gains over random mixing, and the share of it recovered at equal cost",
        "Over the middle half of the costs between the two points; the light cascade's random mixing and oracle are "
        "between its own two. In brackets 95 % intervals, speakers resampled.",
        markdown_table(
            ("set", "router", "recovered % (FLOPs)", "p above random", "least p at one cost", "recovered % (seconds)",
             "p above random"),
            [row for place in places for row in _recovered(judged, place)],
        ),
        "## At equal cost",
        "Cost in executed FLOPs, deciding included:",
        markdown_table(("set", "router", *shares), [row for place in places for row in _at_equal(judged, place, 0)]),
        "Cost in measured seconds:",
        markdown_table(("set", "router", *shares), [row for place in places for row in _at_equal(judged, place, 1)]),
        "## Below always-base at less than its cost",
        markdown_table(
            ("set", "router", "below it from, to % of its FLOPs", "lowest WER % there",
             f"within {100 * WITHIN:.1f} points from % of its FLOPs on", "below it from, to % of its seconds",
             f"within {100 * WITHIN:.1f} points from % of its seconds on"),
            [_below(row) for row in figures["below_big"]],
        ),
        "Read off the report sets' curves; what one threshold set beforehand does is below.",
        "## At the calibrated threshold",
        markdown_table(
            ("router", "set", "WER %", "minus always base", "% of base FLOPs", "% of base seconds", "% sent to base",
             "decided right %", "break-even share (FLOPs, seconds)"),
            [_standing(item.name, result) for item in judged for result in item.found.results],
        ),
        f"Set for {100 * settings['flops_share']:.0f} % of always-base's FLOPs on held-out training speakers; what the "
        "report sets' other mix of speech makes of it stands above. Decided right: of the utterances on which the "
        "points differ; in brackets of all, ties rightly left below. The policy that README shows is the "
        f"{figures['headline']['policy']}: it {figures['headline']['rule']}.",
        "## Where the cost goes",
        _where(figures),
        markdown_table(
            ("part", *(f"{name}, % of base {kind}" for name in figures["parts"] for kind in ("FLOPs", "seconds"))),
            [
                (title, *(f"{100 * split[kind][part]:.1f}" for split in figures["parts"].values()
                          for kind in ("flops", "seconds")))
                for part, title in _PARTS.items()
            ],
        ),
        markdown_table(
            ("run", "utterances", "tiny.en, % of base FLOPs", "% of its seconds", "before decoding", "decoding",
             "base, GFLOPs a second"),
            [
                (row["run"], str(row["n_utterances"]), f"{100 * row['small_of_big_flops']:.0f}",
                 f"{100 * row['small_of_big_seconds']:.0f}", f"{100 * row['small_of_big_before_decoding_s']:.0f}",
                 f"{100 * row['small_of_big_decoding_s']:.0f}", f"{row['big_gflops_a_second']:.0f}")
                for row in figures["pace"]
            ],
        ),
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
        f"{2 * NOISY} utterances of the report sets, the same noise and place at every ratio, at the cascade's "
        "threshold.",
    ]  # fmt: skip
    return "\n\n".join(parts)


def _training(item: Judged) -> tuple[str, ...]:
    trained, held = item.card.training, item.card.calibration
    low, high = (f"{100 * (end or 0.0):.0f}" for end in trained.recovered_interval)
    decision_ms = f"{1000 * item.card.overhead_s:.2f}"
    if per_audio_s := item.card.overhead_s_per_audio_s:
        decision_ms += f" + {1000 * per_audio_s:.2f} a second of audio"
    return (
        item.name,
        f"{trained.n_utterances} utterances of {len(trained.speakers)} speakers",
        f"{held.n_utterances} of {held.n_speakers}" if held else "nothing",
        trained.regressor,
        f"{100 * (trained.recovered_share or 0.0):.0f} [{low}, {high}]",
        decision_ms,
    )


def _recovered(judged: Sequence[Judged], place: int) -> list[tuple[str, ...]]:
    result = judged[0].found.results[place]
    return [
        (
            f"{result.name} ({result.n_utterances} utt., {result.n_speakers} speakers)",
            name,
            f"{100 * flops.share:.0f} [{100 * flops.interval.low:.0f}, {100 * flops.interval.high:.0f}]",
            _p(flops.p_above),
            _p(flops.p_lowest),
            f"{100 * seconds.share:.0f} [{100 * seconds.interval.low:.0f}, {100 * seconds.interval.high:.0f}]",
            _p(seconds.p_above),
        )
        for name, flops, seconds in shown_routers(judged, place)
    ]


def _p(probability: float) -> str:
    return "" if isnan(probability) else f"{probability:.3f}"  # random is the reference


def _at_equal(judged: Sequence[Judged], place: int, kind: int) -> list[tuple[str, ...]]:
    """Return rows of one set: random mixing and oracle, then every router; ``kind`` 0 for FLOPs, 1 for seconds."""
    shown = [(name, seconds if kind else flops) for name, flops, seconds in shown_routers(judged, place)]
    first = shown[0][1]
    curves = [("random mixing, expected", first.chance, first.cost), ("oracle", first.oracle, first.cost)]
    curves += [(name, curve.wer, curve.cost) for name, curve in shown]
    return [
        (judged[0].found.results[place].name, name, *map(_percent, at_shares(wer, cost))) for name, wer, cost in curves
    ]


def _below(row: dict[str, Any]) -> tuple[str, ...]:
    flops, seconds = row["flops"], row["seconds"]

    def reach(found: dict[str, Any]) -> str:
        if found["below_from_of_big"] is None:
            return "nowhere"
        return f"{100 * found['below_from_of_big']:.0f} to {100 * found['below_to_of_big']:.0f}"

    return (
        *(row["set"], row["router"], reach(flops), _percent(flops["lowest_wer"]), _reached(flops)),
        *(reach(seconds), _reached(seconds)),
    )


def _standing(name: str, result: DomainResult) -> tuple[str, ...]:
    at = result.policy
    over = at.wer_over_last
    return (
        name,
        result.name,
        f"{100 * at.wer.estimate:.2f} [{100 * at.wer.low:.2f}, {100 * at.wer.high:.2f}]",
        f"{100 * over.estimate:+.2f} [{100 * over.low:+.2f}, {100 * over.high:+.2f}]",
        f"{100 * at.flops_of_last:.0f}",
        f"{100 * at.seconds_of_last:.0f}",
        f"{100 * at.share_escalated:.0f}",
        f"{100 * at.accuracy:.0f} (all: {100 * at.accuracy_all:.0f})",
        f"{_even(result.break_even_flops)}, {_even(result.break_even_seconds)}",
    )


def _where(figures: dict[str, Any]) -> str:
    flops, seconds = (figures["parts"]["cascade"][kind] for kind in ("flops", "seconds"))
    lighter = figures["parts"]["light cascade"]["seconds"]
    near = {row["router"]: row["seconds"] for row in figures["below_big"] if row["set"] == "all"}
    best, worst = (pick(figures["pace"], key=lambda row: row["small_of_big_seconds"]) for pick in (min, max))
    return (
        f"At its threshold the cascade costs {100 * seconds['total']:.0f} % of always-base's seconds and "
        f"{100 * flops['total']:.0f} % of its FLOPs on all report sets: the small pass, which always runs, takes "
        f"{100 * _small(seconds):.0f} % of the seconds and {100 * _small(flops):.0f} % of the FLOPs, its decoding "
        f"alone {100 * seconds['small_decoding']:.0f} and {100 * flops['small_decoding']:.0f} %, reading confidence "
        f"{100 * seconds['reading_confidence']:.1f} % and deciding {100 * seconds['deciding']:.2f} %. With less of the "
        f"silence tail the small pass takes {100 * _small(lighter):.0f} % of the seconds, and the light cascade is "
        f"within {100 * WITHIN:.1f} points of always-base from {_reached(near['light cascade'])} % of its seconds on, "
        f"the cascade from {_reached(near['cascade'])} %. The small pass's share of the seconds differs between runs: "
        f"{100 * best['small_of_big_seconds']:.0f} % in {best['run']}, where base ran "
        f"{best['big_gflops_a_second']:.0f} GFLOPs a second, {100 * worst['small_of_big_seconds']:.0f} % in "
        f"{worst['run']}, where it ran {worst['big_gflops_a_second']:.0f}."
    )


def _small(split: dict[str, float]) -> float:
    return split["small_before_decoding"] + split["small_decoding"]


def _reached(found: dict[str, Any]) -> str:
    return "nowhere" if found["near_from_of_big"] is None else f"{100 * found['near_from_of_big']:.0f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _even(share: float | None) -> str:
    return "none" if share is None else f"{share:.2f}"
