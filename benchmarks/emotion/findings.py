"""From finished cells to a table and to verdicts on published statements, with intervals blocked by speaker.

Settings are compared on the utterances of the folds that both were measured on, where every speaker was a test speaker
once; several seeds of a fold are averaged utterance by utterance, and their spread stands beside the interval.
"""

from __future__ import annotations

from collections import defaultdict
from statistics import mean, median, stdev
from typing import Any

import numpy as np

from allophone.measure.blocks import draw_blocks
from allophone.measure.classification import count_confusions, resample_uar
from allophone.measure.intervals import Interval, intervals
from benchmarks.shared.recording import markdown_table, stamp_line, write_result

Cells = dict[str, list[dict[str, Any]]]

# Statement, the setting that it says is better, and the other one; {m} is a model, {a} an adaptation.
STATEMENTS = (
    ("the optimum is at 4 s, not 2 s (arXiv 2606.22790)", "{m}-4s{a}", "{m}-2s{a}"),
    ("the optimum is at 4 s, not 3 s (arXiv 2606.22790)", "{m}-4s{a}", "{m}-3s{a}"),
    ("the optimum is at 4 s, not 6 s (arXiv 2606.22790)", "{m}-4s{a}", "{m}-6s{a}"),
    ("LoRA with top 4 is above LoRA alone (arXiv 2606.22790)", "{m}-3s-r16-top4", "{m}-3s-r16"),
    ("LoRA with top 2 is above LoRA alone (arXiv 2606.22790)", "{m}-3s-r16-top2", "{m}-3s-r16"),
    ("rank 32 is above rank 8", "{m}-3s-r32", "{m}-3s-r8"),
    ("depth: top 2 is above rank 16", "{m}-3s-top2", "{m}-3s-r16"),
    ("depth: top 2 is above rank 32", "{m}-3s-top2", "{m}-3s-r32"),
    ("depth: top 4 is above rank 32", "{m}-3s-top4", "{m}-3s-r32"),
    ("adapters add to top 2", "{m}-3s-r16-top2", "{m}-3s-top2"),
    ("adapters add to top 4", "{m}-3s-r16-top4", "{m}-3s-top4"),
    ("full fine-tuning is above top 2", "{m}-3s-all", "{m}-3s-top2"),
    ("full fine-tuning is above top 4", "{m}-3s-all", "{m}-3s-top4"),
    ("the bigger encoder pays", "base-3s{a}", "tiny.en-3s{a}"),
)
EQUAL = 0.01  # an interval within this of 0 says that there is nothing to be had
ADAPTED = ("-frozen", "-top2", "-top4", "-r16", "-r16-top2", "-r16-top4", "-all")


def summarise_cells(cells: list[dict[str, Any]], *, publish: bool) -> None:
    """Print the table and the verdicts; write them to ``docs/results`` where ``publish``."""
    by_setting: Cells = defaultdict(list)
    for cell in cells:
        by_setting[cell["cell"].rpartition("-fold")[0]].append(cell)
    rows = [setting_row(name, group, by_setting) for name, group in by_setting.items()]
    rows.sort(key=lambda row: (row["model"], row["duration_s"], row["training_tflops"]))
    verdicts = statement_verdicts(by_setting)
    columns = (
        *("setting", "folds", "seeds", "UAR %", "95 % interval", "over frozen", "WA %", "macro-F1 %"),
        *("trained parameters", "inference GFLOPs", "training TFLOPs", "training s"),
    )
    lines = [
        (
            row["setting"],
            str(row["folds"]),
            str(row["seeds"]),
            f"{100 * row['uar']:.1f}" + ("" if row["seed_sd"] is None else f" ± {100 * row['seed_sd']:.1f}"),
            f"{100 * row['uar_low']:.1f} to {100 * row['uar_high']:.1f}",
            "" if row["over_frozen"] is None else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*row["over_frozen"]),
            f"{100 * row['wa']:.1f}",
            f"{100 * row['macro_f1']:.1f}",
            f"{row['trainable_params']:,}",
            f"{row['inference_gflops']:.2f}",
            f"{row['training_tflops']:.3g}",
            f"{row['train_s']:.0f}",
        )
        for row in rows
    ]
    said = [
        (
            *(v["statement"], v["better"], v["worse"], str(v["folds"])),
            *("{:+.1f} [{:+.1f}, {:+.1f}]".format(*v["points"]), v["verdict"]),
        )
        for v in verdicts
    ]
    page = "\n".join(
        [
            "# Speech emotion on CREMA-D: model, duration, adaptation",
            "",
            f"{len(cells)} trainings, speakers disjoint, six classes; intervals draw speakers. The recipe is the "
            "library's default, chosen on the test speakers of fold 3, whom no row of folds 0 to 2 reports; the best "
            "epoch is the validation speakers'. Training seconds are the median over folds, on a machine that did "
            "other work at times: [steps](emotion_steps.json) and [latencies](emotion_latency.md) were measured in "
            f"turns. {stamp_line()}.",
            "",
            markdown_table(columns, lines),
            "",
            "## Statements",
            "",
            "Each on the folds that both settings have, one statement at a time: of many confirmed at 95 % some are by "
            "luck.",
            "",
            markdown_table(
                ("statement", "said to be better", "than", "folds", "difference, points of UAR", "verdict"), said
            ),
        ]
    )
    print(page)
    if publish and cells:
        write_result("emotion_table", {"cells": len(cells)}, {"settings": rows, "statements": verdicts}, page)


def setting_row(name: str, group: list[dict[str, Any]], by_setting: Cells) -> dict[str, Any]:
    """Rates of one setting over all its folds and seeds, and what it cost."""
    record = group[0]["record"]
    interval, _ = compare(group, None)
    used = [row for cell in group for row in cell["rows"] if row[3] is not None]
    found = count_confusions([row[2] for row in used], [row[3] for row in used], record["labels"])
    setting = group[0]["setting"]
    frozen = by_setting.get("-".join([*name.split("-")[:2], "frozen"]), [])
    over = None
    if frozen and not name.endswith("-frozen") and (paired := compare(group, frozen)[1]) is not None:
        over = [100 * value for value in (paired.estimate, paired.low, paired.high)]
    seeds = sorted({cell["seed"] for cell in group})
    uars = [mean(cell["uar"] for cell in group if cell["seed"] == seed) for seed in seeds]
    return {
        "setting": name,
        "model": setting["model"],
        "duration_s": setting["duration_s"],
        "folds": len({cell["fold"] for cell in group}),
        "fold_numbers": sorted({cell["fold"] for cell in group}),
        "seeds": len(seeds),
        "uar": interval.estimate,
        "uar_low": interval.low,
        "uar_high": min(interval.high, 1.0),
        "seed_sd": stdev(uars) if len(uars) > 1 else None,
        "over_frozen": over,
        "wa": found.wa,
        "macro_f1": found.macro_f1,
        "recalls": dict(zip(record["labels"], found.recalls.tolist(), strict=True)),
        "trainable_params": record["trainable_params"],
        "inference_gflops": record["inference_flops"] / 1e9,
        "training_tflops": mean(cell["record"]["training_flops"] for cell in group) / 1e12,
        "train_s": median(cell["record"]["train_s"] for cell in group),
        "latency_s": median(cell["record"]["latency_s"] for cell in group),
        "precision": record["precision"],
    }


def compare(group: list[dict[str, Any]], other: list[dict[str, Any]] | None) -> tuple[Interval, Interval | None]:
    """UAR of a setting, and its difference to another one on the folds of both; None where they share none."""
    folds = {cell["fold"] for cell in group}
    folds &= {cell["fold"] for cell in other} if other is not None else folds
    if not folds:
        return compare(group, None)[0], None
    points = [decided(part, folds) for part in ([group] if other is None else [group, other])]
    shared = [utterance for utterance in points[0] if all(utterance in point for point in points)]
    resample = draw_blocks([points[0][utterance][0] for utterance in shared])
    hits = np.array([[mean(point[utterance][2]) for utterance in shared] for point in points])
    replicates = resample_uar(hits, [points[0][utterance][1] for utterance in shared], resample)
    own = intervals(replicates)[0]
    return own, None if other is None else intervals(replicates.difference(1))[0]


def decided(group: list[dict[str, Any]], folds: set[int]) -> dict[str, tuple[str, int, list[bool]]]:
    """Speaker, reference and whether each seed was right, of every test utterance."""
    found: dict[str, tuple[str, int, list[bool]]] = {}
    for cell in group:
        if cell["fold"] in folds:
            for utterance, speaker, reference, decision, _ in cell["rows"]:
                if decision is not None:
                    found.setdefault(utterance, (speaker, reference, []))[2].append(decision == reference)
    return found


def statement_verdicts(by_setting: Cells) -> list[dict[str, Any]]:
    """Published statements against the cells that are there: confirmed, refuted or undecided by the interval."""
    verdicts: dict[tuple[str, ...], dict[str, Any]] = {}
    models = sorted({cell["setting"]["model"] for group in by_setting.values() for cell in group})
    for statement, better, worse in STATEMENTS:
        for model in models:
            for adaptation in ADAPTED if "{a}" in better else ("",):
                names = [form.format(m=model, a=adaptation) for form in (better, worse)]
                key = (statement, *names)
                if key in verdicts or not all(name in by_setting for name in names):
                    continue
                difference = compare(*(by_setting[name] for name in names))[1]
                if difference is None:
                    continue
                low, high = difference.low, difference.high
                verdicts[key] = {
                    "statement": statement,
                    "better": names[0],
                    "worse": names[1],
                    "points": [100 * difference.estimate, 100 * low, 100 * high],
                    "verdict": verdict(low, high),
                    "folds": len(set.intersection(*({cell["fold"] for cell in by_setting[name]} for name in names))),
                }
    return list(verdicts.values())


def verdict(low: float, high: float) -> str:
    """What an interval of a difference, as a fraction, says about the statement that it is positive."""
    if low > 0:
        return "confirmed"
    if high < 0:
        return "refuted"
    return f"no difference of {100 * EQUAL:g} point" if low > -EQUAL and high < EQUAL else "undecided"
