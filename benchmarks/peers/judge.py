"""From the rows of ``peers.py`` to figures: word errors, speed ratios and FLOPs with speaker-blocked intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import median
from typing import Any

import numpy as np

from allophone.corpora.corpus import open_corpus
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio, resample_ratio_difference
from allophone.measure.intervals import Interval, intervals
from allophone.measure.wer import count_word_errors, split_words
from allophone.records.utterance import Utterance
from benchmarks.peers.page import page
from benchmarks.peers.sets import SEED, SETS, SHORT_S, Log, long_parts
from benchmarks.peers.systems import OURS, SYSTEMS
from benchmarks.peers.targets import headline, targets
from benchmarks.shared.recording import SPEECH, read_result, rewrite_result, write_result

REFERENCE = "faster-whisper"
POOLED = "both sets"
Row = dict[str, Any]
Column = Mapping[str, Row]  # what one system did, by utterance


def judge(log: Log) -> None:
    """Write the result of all rows.

    Raises:
        SystemExit: There is no row, or rows come from different machines or versions.
    """
    starts = [row for row in log.rows if row["mode"] == "start"]
    if not starts:
        raise SystemExit(f"{log.path}: nothing measured yet")
    # Each call may be held to other cores; the thread budget says how many were used.
    if len({json.dumps({**start["machine"], "cores": None}) for start in starts}) > 1:
        raise SystemExit(f"{log.path}: rows of several machines or versions; measure into a new folder")
    figures: dict[str, Any] = {
        "latency": latency(log.rows),
        "throughput": totals(log.rows, "throughput"),
        "long": totals(log.rows, "long"),
        "flops": flops(log.rows),
    }
    figures["targets"] = targets(figures)
    figures["headline"] = headline(figures)
    settings = {
        "starts": [{name: value for name, value in start.items() if name != "machine"} for start in starts],
        "systems": {name: [one.number_format, one.settings] for name, one in SYSTEMS.items()},
        "seed": SEED,
        "reference": REFERENCE,
    }
    write_result("peers", settings, figures, page(settings, figures))


def derive() -> None:
    """Add what follows from the figures that are there, and write the page again."""
    record = read_result("peers")
    figures = record["figures"]
    figures["headline"] = headline(figures)
    rewrite_result(record, page(record["settings"], figures, record["machine"]))


@lru_cache
def spoken(corpus: str) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in open_corpus(SPEECH / corpus)}


def known(utterance: str) -> Utterance:
    return next(found for name in SETS.values() if (found := spoken(name).get(utterance)) is not None)


def columns_of(rows: Sequence[Row], *, most_s: float) -> dict[tuple[str, int, str], dict[str, dict[str, Row]]]:
    """Group latency rows: by model, threads and set the systems, and for each its utterances, repeats folded.

    Times are medians over repeats; the text is the first repeat's.
    """
    repeats: dict[tuple[str, int, str], dict[str, dict[str, list[Row]]]] = {}
    for row in rows:
        if row["mode"] == "latency" and (known(row["utterance"]).duration_s or 0.0) < most_s:
            for name in (row["set"], POOLED):
                group = repeats.setdefault((row["model"], row["threads"], name), {})
                group.setdefault(row["system"], {}).setdefault(row["utterance"], []).append(row)
    folded = {
        key: {system: {one: fold(measured) for one, measured in column.items()} for system, column in systems.items()}
        for key, systems in repeats.items()
    }
    sets = {name for _, _, name in folded} - {POOLED}
    return {key: group for key, group in folded.items() if key[2] != POOLED or len(sets) > 1}


def fold(measured: list[Row]) -> Row:
    first = min(measured, key=lambda row: row["repeat"])
    encoded = [row["encode_s"] for row in measured]
    encode_s = None if None in encoded else median(encoded)
    utterance = known(first["utterance"])
    counts = count_word_errors(utterance.text or "", first["text"])
    times = {name: median(row[name] for row in measured) for name in ("seconds", "cpu_s")}
    counted = {"errors": counts.errors, "words": counts.reference_words, "repeats": len(measured)}
    return {**first, **counted, **times, "encode_s": encode_s, "audio_s": utterance.duration_s}


def latency(rows: Sequence[Row]) -> list[Row]:
    """One line a system, for every model, thread budget and set."""
    memory: dict[tuple[Any, ...], int] = {}
    for row in (row for row in rows if row["mode"] == "memory"):
        key = (*row["of"], row["system"])
        memory[key] = max(memory.get(key, 0), row["peak_memory_bytes"] or 0)
    ranked: list[Row] = []
    for (model, threads, name), systems in columns_of(rows, most_s=SHORT_S).items():
        if REFERENCE not in systems:
            continue
        lines = []
        for system, column in systems.items():
            line = {"model": model, "threads": threads, "set": name, "system": system}
            line["peak_memory_bytes"] = memory.get(("latency", model, threads, name, system))
            lines.append(line | against(systems[REFERENCE], column))
        ranked += sorted(lines, key=lambda line: -line["speedup"]["estimate"])
    return ranked


def against(reference: Column, column: Column) -> Row:
    """Compare a system with the reference on the utterances that both have."""
    shared = [utterance for utterance in column if utterance in reference]
    if not shared:
        raise SystemExit(f"{REFERENCE} has none of these utterances yet; measure on")
    mine, theirs = [column[one] for one in shared], [reference[one] for one in shared]
    resample = draw_blocks([known(one).speaker for one in shared], seed=SEED)
    words = [row["words"] for row in mine]
    errors = [[row["errors"] for row in rows] for rows in (theirs, mine)]
    seconds = [row["seconds"] for row in mine]
    encoded = [row["encode_s"] for row in mine]
    audio_s, total_s = sum(row["audio_s"] for row in mine), sum(seconds)
    return {
        "utterances": len(shared),
        "speakers": len({known(one).speaker for one in shared}),
        "repeats": max(row["repeats"] for row in mine),
        "audio_s": audio_s,
        "total_s": total_s,
        "cpu_s": sum(row["cpu_s"] for row in mine),
        "encode_s": None if None in encoded else sum(encoded),
        "rtfx": audio_s / total_s,
        "wer": as_fields(intervals(resample_ratio(errors[1:], words, resample))[0]),
        "wer_difference": as_fields(intervals(resample_ratio_difference(errors, words, resample, 0))[1]),
        "speedup": as_fields(intervals(resample_ratio([[row["seconds"] for row in theirs]], seconds, resample))[0]),
        "warning": resample.warning,
    }


def as_fields(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def totals(rows: Sequence[Row], mode: str) -> list[Row]:
    """One line a system: seconds for all files or the long recording, and word errors by speaker."""
    groups: dict[tuple[str, int, str], dict[str, list[Row]]] = {}
    for row in rows:
        if row["mode"] == mode:
            group = groups.setdefault((row["model"], row["threads"], row["set"]), {})
            group.setdefault(row["system"], []).append(row)
    lines = []
    for (model, threads, name), systems in groups.items():
        if REFERENCE not in systems:
            continue
        count = files_errors if mode == "throughput" else long_errors
        counted = {system: count(measured[0]) for system, measured in systems.items()}
        speakers, words, _ = counted[REFERENCE]
        resample = draw_blocks(speakers, seed=SEED)
        errors = [counted[REFERENCE][2], *(counted[system][2] for system in systems)]
        rates = intervals(resample_ratio(errors, words, resample))[1:]
        differences = intervals(resample_ratio_difference(errors, words, resample, 0))[1:]
        reference_s = median(row["seconds"] for row in systems[REFERENCE])
        group_lines = []
        for (system, measured), rate, difference in zip(systems.items(), rates, differences, strict=True):
            seconds = [row["seconds"] for row in measured]
            line = {"model": model, "threads": threads, "set": name, "system": system, "repeats": len(seconds)}
            line |= {"seconds": median(seconds), "least_s": min(seconds), "greatest_s": max(seconds)}
            line["cpu_s"] = median(row["cpu_s"] for row in measured)
            line |= {"speedup": reference_s / median(seconds), "words": int(np.sum(words)), "warning": resample.warning}
            group_lines.append(line | {"wer": as_fields(rate), "wer_difference": as_fields(difference)})
        lines += sorted(group_lines, key=lambda line: line["seconds"])
    return lines


def files_errors(row: Row) -> tuple[list[str | None], list[int], list[int]]:
    utterances = [known(one) for one in row["utterances"]]
    counts = [count_word_errors(one.text or "", text) for one, text in zip(utterances, row["texts"], strict=True)]
    return [one.speaker for one in utterances], [c.reference_words for c in counts], [c.errors for c in counts]


def long_errors(row: Row) -> tuple[list[str | None], list[int], list[int]]:
    """Count word errors of a long recording, each charged to the utterance whose words it stands at."""
    import jiwer

    parts = long_parts(float(row["set"].removesuffix(" min")))
    references = [split_words(part.text or "", "english") for part in parts]
    owner = [index for index, part in enumerate(references) for _ in part]
    said, heard = " ".join(" ".join(part) for part in references), " ".join(split_words(row["text"], "english"))
    output = jiwer.process_words(said, heard)
    errors = [0] * len(parts)
    for chunk in output.alignments[0]:
        if chunk.type == "insert":
            place = min(chunk.ref_start_idx, len(owner) - 1)
            errors[owner[place]] += chunk.hyp_end_idx - chunk.hyp_start_idx
        elif chunk.type != "equal":
            for place in range(chunk.ref_start_idx, chunk.ref_end_idx):
                errors[owner[place]] += 1
    return [part.speaker for part in parts], [len(said) for said in references], errors


def flops(rows: Sequence[Row]) -> list[Row]:
    """Executed GFLOPs an utterance of our points on the first set, and their share of full context's."""
    first = next(iter(SETS))
    lines: list[Row] = []
    full = f"{OURS}full"
    for (model, threads, name), systems in columns_of(rows, most_s=np.inf).items():
        if name != first or full not in systems or any(line["model"] == model for line in lines):
            continue
        for system, column in systems.items():
            shared = [one for one in column if one in systems[full]]
            if not system.startswith(OURS) or not shared:
                continue
            mine, whole = ([c[one]["flops"] for one in shared] for c in (column, systems[full]))
            share = resample_ratio([mine], whole, draw_blocks([known(one).speaker for one in shared], seed=SEED))
            line = {"model": model, "threads": threads, "set": name, "system": system, "utterances": len(shared)}
            line |= {"gflops": float(np.mean(mine)) / 1e9, "share_of_full": as_fields(intervals(share)[0])}
            lines.append(line)
    return lines
