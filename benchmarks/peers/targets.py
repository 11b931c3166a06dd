"""Whether our operating points meet what was set beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.peers.systems import OURS

LEAST_SPEEDUP, LEAST_THROUGHPUT, MOST_FLOPS = 3.0, 4.0, 0.4
MOST_MEAN, MOST_HIGH = 0.002, 0.005  # of the WER's difference from faster-whisper's defaults, as fractions
STATED = (
    f"Stated beforehand. Latency: at least {LEAST_SPEEDUP:g} times as fast as faster-whisper's defaults, WER at most "
    f"{100 * MOST_MEAN:g} points higher, the interval's upper end at most {100 * MOST_HIGH:g}. Throughput: at least "
    f"{LEAST_THROUGHPUT:g} times faster-whisper one by one, and ahead of its batched pipeline. Long audio: not slower "
    f"than that pipeline at WER no higher. FLOPs: at most {100 * MOST_FLOPS:g} % of full context's."
)
WHYS = {
    "fast": "too slow",
    "sound": "WER not shown to hold",
    "ahead": "not ahead of the batched pipeline",
    "few": "too many",
}

DEFAULT, LEAN = OURS + "fit+1tallg", "faster-whisper lean"
_BATCHED = "faster-whisper batched"
Row = dict[str, Any]


def targets(figures: Mapping[str, Any]) -> list[Row]:
    """Return for each of our points and targets whether it is met, and each condition that it is made of."""
    found = []
    for line in _ours(figures["latency"]):
        difference = line["wer_difference"]
        fast = line["speedup"]["estimate"] >= LEAST_SPEEDUP
        sound = difference["estimate"] <= MOST_MEAN and difference["high"] <= MOST_HIGH
        found.append(_judged("latency", line, fast=fast, sound=sound))
    for line in _ours(figures["throughput"]):
        fast = line["speedup"] >= LEAST_THROUGHPUT
        found.append(_judged("throughput", line, fast=fast, ahead=_ahead(line, figures["throughput"])))
    for line in _ours(figures["long"]):
        rivals = _batched(line, figures["long"])
        sound = bool(rivals) and line["wer"]["estimate"] <= min(rival["wer"]["estimate"] for rival in rivals)
        found.append(_judged("long", line, sound=sound, ahead=_ahead(line, figures["long"])))
    few = [(line, line["share_of_full"]["estimate"] <= MOST_FLOPS) for line in figures["flops"]]
    return [*found, *(_judged("flops", line, few=met) for line, met in few)]


def headline(figures: Mapping[str, Any]) -> list[Row]:
    """Return what the default point comes to on both sets, with one thread: against the defaults and against lean.

    ``lean`` is faster-whisper without timestamps and fallback, as ours decodes; its ratio is of total seconds on the
    utterances of both, without an interval.
    """
    found = []
    for line in figures["latency"]:
        if (line["system"], line["set"], line["threads"]) != (DEFAULT, "both sets", 1):
            continue
        (lean,) = (other for other in figures["latency"] if other["system"] == LEAN and _where(other) == _where(line))
        if lean["utterances"] != line["utterances"]:
            raise ValueError(f"{LEAN} has {lean['utterances']} utterances, {DEFAULT} {line['utterances']}")
        many = [
            other
            for other in figures["throughput"]
            if (other["system"], other["model"], other["threads"]) == (DEFAULT, line["model"], 1)
        ]
        found.append(
            {
                **{name: line[name] for name in ("model", "threads", "set", "utterances", "repeats", "speedup")},
                "wer_difference": line["wer_difference"],
                "speedup_over_lean": lean["total_s"] / line["total_s"],
                "wer": line["wer"]["estimate"],
                "wer_of_lean": lean["wer"]["estimate"],
                "target": _target_of("latency", line, figures),
                "throughput": [
                    {
                        **{name: other[name] for name in ("set", "repeats", "speedup")},
                        "target": _target_of("throughput", other, figures),
                    }
                    for other in many
                ],
            }
        )
    return found


def _where(line: Row) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("model", "threads", "set"))


def _target_of(target: str, line: Row, figures: Mapping[str, Any]) -> Row:
    keys = ("system", "model", "threads", "set")
    (found,) = (
        one for one in figures["targets"] if one["target"] == target and all(one[key] == line[key] for key in keys)
    )
    return {"met": found["met"], "missed": [why for name, why in WHYS.items() if not found.get(name, True)]}


def _ours(lines: list[Row]) -> list[Row]:
    return [line for line in lines if line["system"].startswith(OURS)]


def _batched(line: Row, lines: list[Row]) -> list[Row]:
    same = ("model", "threads", "set")
    return [
        other
        for other in lines
        if other["system"].startswith(_BATCHED) and all(other[name] == line[name] for name in same)
    ]


def _ahead(line: Row, lines: list[Row]) -> bool:
    """Whether a point takes no more time than every batched pipeline; not where none was measured."""
    rivals = _batched(line, lines)
    return bool(rivals) and line["seconds"] <= min(rival["seconds"] for rival in rivals)


def _judged(target: str, line: Row, **conditions: bool) -> Row:
    where = {name: line[name] for name in ("system", "model", "threads", "set")}
    return {"target": target, **where, "met": all(conditions.values()), **conditions}
