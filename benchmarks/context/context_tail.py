"""The context knob settled: word errors of fit contexts against full context, by tail, with and without the guard.

The stage ``measure`` sweeps the reporting sets and a draw of train-clean-5, the set for choosing, without and
with the guard (resumable); ``judge`` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allophone.frontier.confidence import draw_replicates
from allophone.ledger.readers import connect
from allophone.measure.bootstrap import resample_ratio_difference
from allophone.measure.intervals import intervals
from allophone.records.transcript import Segment
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from allophone.transcription.fallback import failure_reason
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, markdown_table, stamp_line, write_result
from benchmarks.sweep.grid import write_manifest

CHOOSING = "librispeech-train-clean-5"
REPORTING = ("librispeech-test-other", "speechocean762-test")
TAILS = ("all", "every-4", "none")
SPACE = SearchSpace(
    model=sized(("tiny.en", "base"), ("tiny.en",)),
    context=("full", "fit"),
    margin_s=(1,),
    floor_s=(0,),
    tail=TAILS,
    guard=(False,),
    token_stride=(1,),
    beam_size=(1,),
)
GUARDED = SPACE.model_copy(update={"context": ("fit",), "tail": ("all",), "guard": (True,)})
LOST_WORDS = 3  # a short pass failed when it has this many word errors more than full context
COLUMNS = (
    *("model", "context", "WER %", "inserted", "against full", "failed passes", "GFLOPs", "of full %"),
    *("times as fast", "distrusted %", "guarded: WER %", "against full", "of full's GFLOPs %"),
)


@dataclass(frozen=True)
class Row:
    """One utterance at one point."""

    errors: int
    words: int
    insertions: int
    flops: int
    latency_s: float
    segment: Segment


def main() -> None:
    """Measure the reporting sets, or write the page."""
    parser = command_line(__doc__)
    parser.add_argument("stage", nargs="?", choices=("measure", "judge", "both"), default="both")
    parser.add_argument("--runs", type=Path, default=RUNS)
    asked = begin(parser)
    if asked.stage != "judge":
        measure(asked.runs)
    if asked.stage != "measure":
        write_page(asked.runs)


def measure(runs: Path) -> None:
    """Sweep every set without and with the guard; the same call goes on where it was stopped."""
    corpora = {name: SPEECH / name for name in REPORTING} | {CHOOSING: write_manifest(runs / f"context-{CHOOSING}")}
    tasks = [(path, f"context-{name}", SPACE) for name, path in corpora.items()]
    tasks += [(path, f"guard-{name}", GUARDED) for name, path in corpora.items()]
    for corpus, out, space in tasks:
        sweep(
            corpus,
            out=runs / out,
            plan="grid",
            space=space,
            threads=1,
            progress=lambda now: print(f"{now.done}/{now.total}", flush=True),
        )


def write_page(runs: Path) -> None:
    """Judge every set, and write ``docs/results/context_tail``."""
    sets = {name: runs / f"context-{name}" for name in (CHOOSING, *REPORTING)}
    figures: dict[str, Any] = {}
    parts = [
        "# Fit context and its tail against full context",
        "Written by `benchmarks/context/context_tail.py`. "
        "Greedy, int8, one thread, margin 1 s, no floor; every utterance "
        "at every setting, models taking turns. Differences are in points of WER with 95 % intervals, speakers "
        f"resampled as blocks. A pass failed when it has at least {LOST_WORDS} word errors more than full context. "
        "Times as fast: median over utterances of full context's latency over this one's. Distrusted: passes that the "
        "guard would turn down for loops, rates or log-probability. Guarded: measured with the guard on, which also "
        f"goes on where text ended before the speech did; all passes are paid. {stamp_line()}.",
    ]
    for name, folder in sets.items():
        lines, speakers = judge(folder, runs / f"guard-{name}")
        figures[name] = {"utterances": len(speakers), "speakers": len(set(speakers)), "settings": lines}
        use = "for choosing" if name == CHOOSING else "for reporting"
        parts += [f"## {name} ({use}): {len(speakers)} utterances, {len(set(speakers))} speakers"]
        parts += [markdown_table(COLUMNS, [shown(line) for line in lines])]
        found = guard_quality(lines)
        figures[name]["guard"] = found
        parts += [
            f"The guard turns down {found['caught']} of {found['failed']} failed passes (all settings of this table "
            f"together), and {found['false_alarms']} of {found['good']} others."
        ]
    write_result("context_tail", {"space": SPACE.axes(), "lost_words": LOST_WORDS}, figures, "\n\n".join(parts))


def judge(folder: Path, guarded: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Compare every fit setting of a run with full context, on the utterances that all of them have."""
    lines: list[dict[str, Any]] = []
    speakers: list[str] = []
    for model in SPACE.model:
        names = {"full": f"{model}-full-s1-int8-b1"} | {tail: fit_name(model, tail) for tail in TAILS}
        table, utterances = read(folder, list(names.values()))
        speakers = list(utterances.values())
        full = table[names["full"]]
        lines.append({"model": model, "context": "full", **describe(full, full, speakers)})
        for tail in TAILS:
            rows = table[names[tail]]
            failed = [row.errors - whole.errors >= LOST_WORDS for row, whole in zip(rows, full, strict=True)]
            turned = [failure_reason(row.segment) is not None for row in rows]
            line = {
                "model": model,
                "context": f"fit, tail {tail}",
                **describe(rows, full, speakers),
                "failed": sum(failed),
                "turned_down": sum(turned),
                "caught": sum(f and t for f, t in zip(failed, turned, strict=True)),
            }
            if tail in GUARDED.tail:
                mended, _ = read(guarded, [fit_name(model, tail, "g")], list(utterances))
                line["guarded"] = describe(mended[fit_name(model, tail, "g")], full, speakers)
            lines.append(line)
    return lines, speakers


def fit_name(model: str, tail: str, guard: str = "") -> str:
    """Name of the measured point."""
    shown_tail = "" if tail == "none" else "t" + tail.removeprefix("every-")
    return f"{model}-fit+1{shown_tail}{guard}-s1-int8-b1"


def read(
    folder: Path, points: Sequence[str], utterances: Sequence[str] | None = None
) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """Return rows by point in one order of utterances, and these with their speakers.

    Where no utterances are given: those that took one window at every point.
    """
    with connect(folder) as connection:
        found = connection.execute(
            "select point, utterance_id, speaker, substitutions + insertions + deletions as errors, "
            "hits + substitutions + deletions as words, insertions, executed_flops, latency_s, hypothesis, duration_s, "
            "text_tokens, window_frames, avg_logprob, no_speech_prob, compression_ratio, truncated_windows "
            "from measurements where list_contains(?, point) and error is null and (? or len(window_frames) = 1)",
            [list(points), utterances is not None],
        ).fetchall()
    by_point: dict[str, dict[str, Row]] = {point: {} for point in points}
    speaker_of: dict[str, str] = {}
    for point, utterance, speaker, errors, words, insertions, flops, latency_s, text, *rest in found:
        duration_s, tokens, frames, logprob, no_speech, ratio, truncated = rest
        # fmt: off
        segment = Segment(
            0.0, duration_s, text, (), tokens, frames[0], 0, logprob, no_speech, ratio, bool(truncated), 0.0, latency_s
        )
        # fmt: on
        by_point[point][utterance] = Row(errors, words, insertions, flops, latency_s, segment)
        speaker_of[utterance] = speaker
    shared = utterances or sorted(set.intersection(*(set(rows) for rows in by_point.values())))
    table = {point: [rows[utterance] for utterance in shared] for point, rows in by_point.items()}
    return table, {utterance: speaker_of[utterance] for utterance in shared}


def describe(rows: list[Row], full: list[Row], speakers: list[str]) -> dict[str, Any]:
    """Error rate, its difference to full context with an interval, and costs as shares of full context's."""
    errors = np.array([[row.errors for row in rows], [row.errors for row in full]], float)
    words = np.array([row.words for row in rows], float)
    change = intervals(resample_ratio_difference(errors, words, draw_replicates(speakers, 0.95), 1))[0]
    return {
        "n": len(rows),
        "wer": errors[0].sum() / words.sum(),
        "insertions": sum(row.insertions for row in rows),
        "change": {"estimate": change.estimate, "low": change.low, "high": change.high},
        "gflops": sum(row.flops for row in rows) / len(rows) / 1e9,
        "flops_of_full": sum(row.flops for row in rows) / sum(row.flops for row in full),
        "times_as_fast": float(
            np.median([whole.latency_s / row.latency_s for row, whole in zip(rows, full, strict=True)])
        ),
    }


def guard_quality(lines: list[dict[str, Any]]) -> dict[str, int]:
    """How many failed passes the guard catches, and how many others it turns down, over all settings."""
    fits = [line for line in lines if "failed" in line]
    failed, caught, turned = (sum(line[key] for line in fits) for key in ("failed", "caught", "turned_down"))
    good = sum(line["n"] for line in fits) - failed
    return {"failed": failed, "caught": caught, "false_alarms": turned - caught, "good": good}


def shown(line: dict[str, Any]) -> list[str]:
    """One row of the page."""

    def change(figures: dict[str, Any]) -> str:
        moved = figures["change"]
        return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * moved[key] for key in ("estimate", "low", "high")))

    own = [line["model"], line["context"], f"{100 * line['wer']:.2f}", str(line["insertions"])]
    costs = [f"{line['gflops']:.1f}", f"{100 * line['flops_of_full']:.0f}", f"{line['times_as_fast']:.2f}"]
    if "failed" not in line:
        return [*own, "", "", *costs, "", "", "", ""]
    distrusted = f"{100 * line['turned_down'] / line['n']:.1f}"
    mended = ["", "", ""]
    if "guarded" in line:
        found = line["guarded"]
        mended = [f"{100 * found['wer']:.2f}", change(found), f"{100 * found['flops_of_full']:.0f}"]
    return [*own, change(line), str(line["failed"]), *costs, distrusted, *mended]


if __name__ == "__main__":
    main()
