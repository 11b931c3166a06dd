"""What each benchmark found, in a sentence: computed from its result, so that it changes with the figures.

A sentence states figures only, never a verdict that other figures would make untrue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["SENTENCES", "conclusion"]

_TOLERANCE = 0.015  # as the page of statements judges them


def conclusion(name: str, figures: dict[str, Any]) -> str | None:
    """Return what a result says, or None for a result that nobody has put into words.

    Args:
        name: The result's name, that of its JSON file.
        figures: What the file holds under ``figures``.
    """
    return SENTENCES[name](figures) if name in SENTENCES else None


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _points(change: float) -> str:
    return f"{100 * change:+.1f} points"


def _bootstrap_speed(figures: dict[str, Any]) -> str:
    found = figures["bootstrap"]
    return (
        f"All intervals, differences and dominance probabilities of a large run take {found['total_s']['median']:.2f} "
        f"s and {found['peak_memory_bytes'] / 1e6:.0f} MB."
    )


def _context_adaptation(figures: dict[str, Any]) -> str:
    found = {one["point"]: one["wer"]["estimate"] for one in figures["word_errors"]["test-other"]}
    names = ("stock, fit + 1, no tail", "adapted, fit + 1, no tail", "stock, fit + 1, silence tail")
    stock, adapted, tail = (_percent(found[name], 1) for name in names)
    return f"Without a tail, a short training took WER from {stock} to {adapted}; the silence tail alone gave {tail}."


def _context_attention(figures: dict[str, Any]) -> str:
    parts = []
    for model, found in figures.items():
        shares = [found[name]["silence_while_speaking"] for name in ("full", "fit, tail all", "fit, no tail")]
        full, whole, none = (_percent(share) for share in shares)
        parts.append(
            f"{full} of {model}'s attention lies on silence at full context, {whole} with the tail, {none} without"
        )
    return "; ".join(parts) + "."


def _context_tail(figures: dict[str, Any]) -> str:
    guarded = [one["guarded"] for found in figures.values() for one in found["settings"] if "guarded" in one]
    shares = [one["flops_of_full"] for one in guarded]
    unclear = sum(one["change"]["low"] <= 0 <= one["change"]["high"] for one in guarded)
    return (
        f"Short context with silence tail and guard executed {_percent(min(shares))} to {_percent(max(shares))} of "
        f"full context's FLOPs, and its WER was not shown to differ in {unclear} of {len(guarded)} comparisons."
    )


def _cost_speed(figures: dict[str, Any]) -> str:
    return f"The closed form counts {figures['arrays_per_s']['median'] / 1e6:.0f} million settings per second."


def _default_point(figures: dict[str, Any]) -> str:
    parts = []
    for model, found in figures.items():
        chosen = next(one for one in found["settings"] if one["setting"] == found["default"])
        change, low, high = (100 * value for value in chosen["change"])
        parts.append(
            f"{model} {change:+.1f} [{low:+.1f}, {high:+.1f}] points of WER at {chosen['times_as_fast']:.1f} times the "
            "speed"
        )
    return f"The default point against faster-whisper's defaults, on data for choosing: {'; '.join(parts)}."


def _emotion_cascade(figures: dict[str, Any]) -> str:
    sure = [one for one in figures["cascades"] if one["over_chance"][1] > 0]
    return (
        f"{len(sure)} of {len(figures['cascades'])} cascades had a higher UAR than random escalation at equal compute."
    )


def _emotion_latency(figures: dict[str, Any]) -> str:
    shown = ", ".join(
        f"{1000 * figures[name]['latency_s']['median']:.0f} ms ({name})" for name in ("tiny.en 3 s", "base 3 s")
    )
    return f"One classification on one thread took {shown}."


def _emotion_steps(figures: dict[str, Any]) -> str:
    found = figures["random:wav2vec2-base"]["top4_step_over_full_step"]["median"]
    return (
        f"Training the top 4 layers of wav2vec2-base with cached states took {_percent(found)} of a full step's time."
    )


def _emotion_table(figures: dict[str, Any]) -> str:
    best = max(figures["settings"], key=lambda one: (one["folds"], one["uar"]))
    verdicts = [one["verdict"] for one in figures["statements"]]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    return (
        f"{best['setting']} had the highest UAR over {best['folds']} folds, {_percent(best['uar'], 1)}. Of "
        f"{len(verdicts)} tests of published statements: {counts}."
    )


def _encoder_resolution(figures: dict[str, Any]) -> str:
    tried = [one for found in figures.values() for name, one in found.items() if name != "none"]
    worse = sum(one["change"]["low"] > 0 for one in tried)
    return f"Fewer audio tokens inside the encoder: {worse} of {len(tried)} variants surely lost words."


def _grid_search(figures: dict[str, Any]) -> str:
    race = min(
        (one for one in figures["searches"] if one["search"] == "race"), key=lambda one: abs((one["spend"] or 1) - 0.15)
    )
    return (
        f"race found {_percent(race['hypervolume_share']['median'])} of the exhaustive grid's hypervolume in "
        f"{_percent(race['engine_share']['median'])} of its time."
    )


def _interval_coverage(figures: dict[str, Any]) -> str:
    found = {one["method"]: one for one in figures["methods"]}
    shipped, textbook = (_percent(found[name]["coverage"], 1) for name in ("shipped", "percentile"))
    return f"95 % intervals held the truth in {shipped} of simulated corpora, percentile bootstrap ones in {textbook}."


def _long_audio(figures: dict[str, Any]) -> str:
    run = max(figures["runs"], key=lambda one: one["minutes"])
    joined, alone = (_percent(run[f"errors_{kind}"] / run["words"], 2) for kind in ("joined", "alone"))
    return f"{run['minutes']:.0f} minutes at short context had a WER of {joined} in one piece and {alone} by utterance."


def _peak_memory(figures: dict[str, Any]) -> str:
    ratio = figures["ratios"]["in_use"]
    return f"`allophone cost` predicted {ratio['least']:.2f} to {ratio['greatest']:.2f} of the memory in use."


def _peers(figures: dict[str, Any]) -> str:
    shown = ", ".join(f"{one['speedup']['estimate']:.1f} ({one['model']})" for one in figures["headline"])
    met = sum(one["target"]["met"] for one in figures["headline"])
    return (
        f"On one thread and the same weights, times as fast as faster-whisper's defaults: {shown}; targets set "
        f"beforehand met: {met} of {len(figures['headline'])}."
    )


def _robustness(figures: dict[str, Any]) -> str:
    found = figures["damaged"]
    bad = found["traceback"] + found["killed"]
    return (
        f"Of {found['files']:,} damaged recordings {bad} ended in a traceback or a kill, and "
        f"{found['shortened unnoticed']} were read without a notice though sound was missing."
    )


def _robustness_runs(figures: dict[str, Any]) -> str:
    calls, bad, wrong = (sum(one[key] for one in figures.values()) for key in ("calls", "traceback", "wrong"))
    return f"Of {calls} calls on damaged, killed and full folders {bad} ended in a traceback and {wrong} were wrong."


def _routing(figures: dict[str, Any]) -> str:
    found = figures["headline"]["sets"][0]
    change = found["wer_over_last"]
    interval = f"[{100 * change['low']:+.1f}, {100 * change['high']:+.1f}]"
    return (
        f"The {figures['headline']['policy']} had a WER of {_points(change['estimate'])} against always base "
        f"({interval}) at {_percent(found['flops_of_last'])} of its FLOPs."
    )


def _routing_faithful(figures: dict[str, Any]) -> str:
    recovered = [one["recovered_share"] for one in figures["forms"]]
    return (
        f"The published decider recovered {_percent(min(recovered))} to {_percent(max(recovered))} of what the oracle "
        "gains over random mixing."
    )


def _routing_families(figures: dict[str, Any]) -> str:
    parts = []
    for one in figures["cascades"]:
        share, *_ = one["sets"][0]["recovered_flops"]
        parts.append(f"{_percent(share)} from {one['small']}")
    return f"Cascades to base recovered this share of what the oracle gains at equal FLOPs: {', '.join(parts)}."


def _routing_robustness(figures: dict[str, Any]) -> str:
    clean, *_, noisiest = figures["conditions"]
    return (
        f"The share sent to base was {_percent(clean['share_to_big'][0])} on clean speech and "
        f"{_percent(noisiest['share_to_big'][0])} with {noisiest['condition']}, at one threshold."
    )


def _speaker_blocks(figures: dict[str, Any]) -> str:
    parts = []
    for name, found in figures["judged"].items():
        kinds = (_percent(found["intervals"][kind]["coverage"]) for kind in ("true", "inferred", "none"))
        parts.append("{} / {} / {}".format(*kinds) + f" ({name})")
    return f"Coverage of 95 % intervals with true / inferred / no speakers: {', '.join(parts)}."


def _star_sweep(figures: dict[str, Any]) -> str:
    points = figures["frontier"]
    on, dominated = (sum(point["status"] == status for point in points) for status in ("on", "dominated"))
    return (
        f"Of {len(points)} points {on} were surely on the frontier and {dominated} surely dominated; others were tied."
    )


def _startup(figures: dict[str, Any]) -> str:
    imported, helped = (figures[name]["median"] for name in ("import_allophone_s", "help_s"))
    return f"Importing allophone took {1000 * imported:.0f} ms, `--help` {1000 * helped:.0f} ms."


def _statements(figures: dict[str, Any]) -> str:
    return f"{figures['met']} of {figures['cells']} stated probabilities held in simulation."


def _statement_rows(figures: dict[str, Any]) -> str:
    rows = figures["rows"]
    kept = sum(row["held"] >= row["stated"] - _TOLERANCE for row in rows)
    least = min(rows, key=lambda row: row["held"] - row["stated"])
    return (
        f"{kept} of {len(rows)} statements held as often as stated, within {100 * _TOLERANCE:.1f} points; the least in "
        f"{_percent(least['held'], 1)} instead of {_percent(least['stated'], 1)} of cases."
    )


def _sweep_memory(figures: dict[str, Any]) -> str:
    peaks = (f"{found['driver_peak_bytes'] / 1e6:.0f} MB ({name.replace('_', ' ')})" for name, found in figures.items())
    return f"Peak memory of a sweep's own process: {', '.join(peaks)}."


def _sweep_overhead(figures: dict[str, Any]) -> str:
    return (
        f"A sweep took {figures['sweep_over_plain']['median']:.2f} times as long as a plain loop over the same passes."
    )


def _word_times(figures: dict[str, Any]) -> str:
    found = [models["fit, tail all"]["within"] for models in figures.values()]
    return (
        f"At short context with its tail {_percent(min(found))} to {_percent(max(found))} of words began within 100 ms."
    )


SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "bootstrap_speed": _bootstrap_speed,
    "context_adaptation": _context_adaptation,
    "context_attention": _context_attention,
    "context_tail": _context_tail,
    "cost_speed": _cost_speed,
    "default_point": _default_point,
    "emotion_cascade": _emotion_cascade,
    "emotion_latency": _emotion_latency,
    "emotion_steps": _emotion_steps,
    "emotion_table": _emotion_table,
    "encoder_resolution": _encoder_resolution,
    "grid_search": _grid_search,
    "interval_coverage": _interval_coverage,
    "long_audio": _long_audio,
    "peak_memory": _peak_memory,
    "peers": _peers,
    "robustness": _robustness,
    "robustness_runs": _robustness_runs,
    "routing": _routing,
    "routing_faithful": _routing_faithful,
    "routing_families": _routing_families,
    "routing_robustness": _routing_robustness,
    "speaker_blocks": _speaker_blocks,
    "star_sweep": _star_sweep,
    "startup": _startup,
    "statements": _statements,
    **dict.fromkeys(
        (
            "statements_certified",
            "statements_compare",
            "statements_intervals",
            "statements_labels",
            "statements_limits",
            "statements_objectives",
            "statements_policies",
        ),
        _statement_rows,
    ),
    **dict.fromkeys(
        ("statements_races", "statements_real_points", "statements_time", "statements_verdicts"), _statement_rows
    ),
    "sweep_memory": _sweep_memory,
    "sweep_overhead": _sweep_overhead,
    "word_times": _word_times,
}
