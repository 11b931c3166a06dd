"""The page of ``peers.py``: figures as tables, nothing computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers.targets import STATED, WHYS
from benchmarks.shared.recording import markdown_table, stamp_line

Row = Mapping[str, Any]

_HEAD = """Written by `benchmarks/peers/peers.py`. {stamp}; {packages}.

All systems run the same weights, greedily, with the language given, in processes of their own that take turns utterance
by utterance on as many cores as the thread budget says. A process whose turn it is not is stopped. Times are wall
seconds from samples in memory to text (many files: from files to texts), medians of repeats after a warm-up. Processor
time, of all threads, is what other load on the machine changes least; with more than one thread it counts waiting in a
loop too. Memory is the peak of the process after loading. Differences, ratios and their 95 % intervals are paired with
faster-whisper's defaults (`beam_size=1`) on the utterances that both have, and blocked by speaker. Load averages at the
start of each measuring: {loads}.

The peers come from `pip install -r benchmarks/peers/requirements.txt`; of their binaries is known: {builds}.

Left out: {left_out}."""

_NOTES = {
    "throughput": "Each file is handed over as a path; allophone and `workers` take a file a core, the others one by "
    "one. Ratios are of median seconds for the whole set.",
    "long": "Utterances of LibriSpeech train-clean-5, one speaker after another, each followed by 0.5 s of silence, as "
    "one recording. The operating points were chosen on this set, so its WER compares systems and is no test of them. "
    "An error is charged to the utterance at whose words the alignment puts it.",
    "flops": "Counted by the `executed` convention on every utterance of the set, those of 15 s and more included.",
}


def page(settings: Mapping[str, Any], figures: Mapping[str, Any], measured_on: dict[str, Any] | None = None) -> str:
    """Return the page in Markdown; figures measured before state the machine they were measured on."""
    starts = settings["starts"]
    left_out: dict[str, list[str]] = {}
    for start in starts:
        for model, reasons in start["left_out"].items():
            for name, reason in reasons.items():
                names = left_out.setdefault(f"{reason}", []) if reason is not None else [f"{name} ({model})"]
                if f"{name} ({model})" not in names:
                    names.append(f"{name} ({model})")
    packages = ", ".join(f"{name} {number}" for name, number in starts[-1]["packages"].items())
    loads = ", ".join(f"{start['load_average'][0]:.1f}" for start in starts)
    builds = "; ".join(f"{name} {told}" for name, told in starts[-1]["builds"].items()) or "nothing"
    gone = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in left_out.items()) or "none"
    head = _HEAD.format(stamp=stamp_line(measured_on), packages=packages, loads=loads, builds=builds, left_out=gone)
    formats = {"allophone": ["int8", "the operating point named"], **settings["systems"]}
    return "\n\n".join(
        [
            "# allophone and its peers",
            head,
            markdown_table(["system", "number format", "settings"], [[name, *told] for name, told in formats.items()]),
            *_headline(figures["headline"]),
            *_targets(figures["targets"]),
            *_latency(figures["latency"]),
            *_totals("Many short files", figures["throughput"], _NOTES["throughput"]),
            *_totals("Long audio", figures["long"], _NOTES["long"]),
            *_flops(figures["flops"]),
        ]
    )


def _headline(lines: Sequence[Row]) -> list[str]:
    parts = ["## Against faster-whisper's defaults and its lean settings"]
    parts += [
        f"{line['model']}, {_threads(line['threads'])}, {line['set']}, {line['utterances']} utterances: "
        f"{_with_ends(line['speedup'])} times as fast as the defaults, {line['speedup_over_lean']:.2f} times as fast "
        f"as lean; WER {100 * line['wer']:.2f} %, of lean {100 * line['wer_of_lean']:.2f} %."
        for line in lines
    ]
    return parts


def _targets(lines: Sequence[Row]) -> list[str]:
    rows = []
    for line in lines:
        missed = ", ".join(why for name, why in WHYS.items() if not line.get(name, True))
        told = "met" if line["met"] else f"not met{missed and ': ' + missed}"
        rows.append([*(str(line[name]) for name in ("target", "model", "threads", "set", "system")), told])
    return ["## Targets", STATED, markdown_table(["target", "model", "threads", "set", "system", ""], rows)]


def _latency(lines: Sequence[Row]) -> list[str]:
    if not lines:
        return []
    parts = ["## Latency at batch 1, utterances under 15 s"]
    columns = [
        "system",
        "utterances",
        "ms an utterance",
        "of it encoder",
        "processor ms",
        "RTFx",
        "times as fast [95 %]",
        "WER %",
    ]
    columns += ["WER less faster-whisper's, points [95 %]", "peak MB"]
    for group in dict.fromkeys((line["model"], line["threads"], line["set"]) for line in lines):
        members = [line for line in lines if (line["model"], line["threads"], line["set"]) == group]
        rows = [
            [
                line["system"],
                str(line["utterances"]),
                f"{1e3 * line['total_s'] / line['utterances']:.0f}",
                "" if line["encode_s"] is None else f"{1e3 * line['encode_s'] / line['utterances']:.0f}",
                f"{1e3 * line['cpu_s'] / line['utterances']:.0f}",
                f"{line['rtfx']:.1f}",
                _with_ends(line["speedup"]),
                f"{100 * line['wer']['estimate']:.2f}",
                _with_ends(line["wer_difference"], 100, "+"),
                "" if not line["peak_memory_bytes"] else f"{line['peak_memory_bytes'] / 1e6:.0f}",
            ]
            for line in members
        ]
        reached = max(members, key=lambda line: line["utterances"])
        about = f"{reached['speakers']} speakers, {reached['audio_s']:.0f} s of audio. {reached['warning'] or ''}"
        parts += [f"### {group[0]}, {_threads(group[1])}, {group[2]}", about, markdown_table(columns, rows)]
    return parts


def _totals(title: str, lines: Sequence[Row], note: str) -> list[str]:
    if not lines:
        return []
    parts = [f"## {title}", note]
    columns = ["system", "s", "least to greatest", "processor s", "repeats", "times as fast", "WER %"]
    columns += ["WER less faster-whisper's, points [95 %]"]
    for group in dict.fromkeys((line["model"], line["threads"], line["set"]) for line in lines):
        members = [line for line in lines if (line["model"], line["threads"], line["set"]) == group]
        rows = [
            [
                line["system"],
                f"{line['seconds']:.1f}",
                f"{line['least_s']:.1f} to {line['greatest_s']:.1f}",
                f"{line['cpu_s']:.1f}",
                str(line["repeats"]),
                f"{line['speedup']:.2f}",
                f"{100 * line['wer']['estimate']:.2f}",
                _with_ends(line["wer_difference"], 100, "+"),
            ]
            for line in members
        ]
        about = f"{members[0]['words']} words. {members[0]['warning'] or ''}"
        parts += [f"### {group[0]}, {_threads(group[1])}, {group[2]}", about, markdown_table(columns, rows)]
    return parts


def _flops(lines: Sequence[Row]) -> list[str]:
    if not lines:
        return []
    rows = [
        [
            line["model"],
            line["set"],
            line["system"],
            str(line["utterances"]),
            f"{line['gflops']:.2f}",
            _with_ends(line["share_of_full"], 100),
        ]
        for line in lines
    ]
    columns = ["model", "set", "system", "utterances", "GFLOPs an utterance", "% of full context [95 %]"]
    return ["## Executed FLOPs", _NOTES["flops"], markdown_table(columns, rows)]


def _with_ends(fields: Mapping[str, float], scale: float = 1, sign: str = "") -> str:
    estimate, low, high = (f"{scale * fields[name]:{sign}.2f}" for name in ("estimate", "low", "high"))
    return f"{estimate} [{low}, {high}]"


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"
