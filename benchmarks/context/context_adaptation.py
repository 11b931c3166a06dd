"""tiny.en adapted to short contexts for a few minutes: word errors of stock and adapted weights, with intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from allophone.adapt.record import ContextCard
from allophone.adapt.short_context import AdaptProgress, adapt_context
from allophone.corpora.corpus import open_corpus
from allophone.ledger.readers import connect
from allophone.ledger.run_record import read_run
from allophone.measure.blocks import draw_blocks
from allophone.measure.bootstrap import resample_ratio, resample_ratio_difference
from allophone.measure.intervals import Interval, intervals
from allophone.records.point import OperatingPoint
from allophone.records.utterance import Utterance
from allophone.sweeps.recognition.run import Progress, sweep
from allophone.sweeps.space import SearchSpace
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, markdown_table, stamp_line, write_result

MODEL = "tiny.en"
MARGIN_S = 1.0
# Speakers of train-clean-5 that are reported on: neither trained nor validated on, nor used to choose the settings.
REPORT_SPEAKERS = sized(("1867", "1970", "2136", "332", "3664", "6272", "7312", "8629"), ("s00", "s01"))
REPORT_EACH = sized(6, 2)  # utterances of each of them


def main() -> None:
    """Train (resumable), measure (resumable), compare, write."""
    parser = command_line(__doc__)
    parser.add_argument("--out", type=Path, default=RUNS / "context-adaptation")
    parser.add_argument("--steps", type=int, default=sized(200, 2))
    parser.add_argument("--batch-size", type=int, default=sized(4, 1))
    parser.add_argument("--tail", default="none")
    parser.add_argument("--threads", type=int, default=1)
    asked = begin(parser)
    clean = list(open_corpus(SPEECH / "librispeech-train-clean-5"))
    train = [utterance for utterance in clean if utterance.speaker not in REPORT_SPEAKERS]
    card = adapt_context(
        write_manifest(asked.out / "train.jsonl", train),
        out=asked.out / "weights",
        model=MODEL,
        margin_s=MARGIN_S,
        tail=asked.tail,
        steps=asked.steps,
        batch_size=asked.batch_size,
        held_out=4,
        threads=asked.threads,
        progress=print_training,
    )
    report = [
        utterance
        for speaker in REPORT_SPEAKERS
        for utterance in [one for one in clean if one.speaker == speaker][:REPORT_EACH]
    ]
    sets = {
        "test-other": list(open_corpus(SPEECH / "librispeech-test-other")),
        "train-clean-5, held-out speakers": report,
    }
    figures: dict[str, Any] = {}
    for number, (name, utterances) in enumerate(sets.items()):
        manifest = write_manifest(asked.out / f"report-{number}.jsonl", utterances)
        run = asked.out / f"run-{number}"
        sweep(
            manifest,
            out=run,
            plan="grid",
            space=SearchSpace(
                model=(MODEL, str(asked.out / "weights")),
                context=("full", "fit"),
                margin_s=(MARGIN_S,),
                floor_s=(0.0,),
                tail=("none", "all"),
                guard=(False,),
                token_stride=(1,),
                beam_size=(1,),
            ),
            threads=asked.threads,
            progress=print_sweep,
        )
        figures[name] = compare(run)
    settings = card.settings.model_dump() | {
        "report_speakers": REPORT_SPEAKERS,
        "report_utterances_each": REPORT_EACH,
        "validation_speakers": card.held_out_speakers,
        "threads": asked.threads,
        "packages": card.packages,
    }
    training = {
        "validations": [{"step": v.step, "kl": v.kl, "hidden": v.hidden} for v in card.validations],
        "train_kl_first_tenth": float(np.mean(card.train_kl[: max(1, len(card.train_kl) // 10)])),
        "train_kl_last_tenth": float(np.mean(card.train_kl[-max(1, len(card.train_kl) // 10) :])),
        "seconds": card.seconds,
    }
    write_result("context_adaptation", settings, {"training": training, "word_errors": figures}, page(card, figures))


def write_manifest(path: Path, utterances: list[Utterance]) -> Path:
    """Write utterances as a manifest of their own, so that a training corpus holds no speaker of a report."""
    rows = [
        {
            "id": utterance.id,
            "audio_filepath": str(utterance.audio_filepath.resolve()),
            "duration": utterance.duration_s,
            "text": utterance.text,
            "speaker": utterance.speaker,
        }
        for utterance in utterances
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def compare(run: Path) -> list[dict[str, Any]]:
    """Word error rate of every point, and its difference from the stock model at full context."""
    points = sorted(read_run(run).points, key=lambda point: (point.model != MODEL, point.context != "full", point.tail))
    names = [point.name for point in points]
    columns = (
        "speaker, hits + substitutions + deletions, substitutions + insertions + deletions, insertions, "
        "truncated_windows, encode_s"
    )
    with connect(run) as ledger:
        query = f"SELECT {columns} FROM measurements WHERE point = ? AND error IS NULL ORDER BY utterance_index"
        rows = [ledger.execute(query, [name]).fetchall() for name in names]
    if len({len(measured) for measured in rows}) > 1:
        raise SystemExit(f"{run}: not every point has every utterance; remove the run and measure again.")
    speakers, words = [row[0] for row in rows[0]], [row[1] for row in rows[0]]
    errors = [[row[2] for row in measured] for measured in rows]
    resample = draw_blocks(speakers)
    rates = intervals(resample_ratio(errors, words, resample))
    less = [intervals(resample_ratio_difference(errors, words, resample, index)) for index in range(len(points))]
    stock = {(point.context, point.tail): index for index, point in enumerate(points) if point.model == MODEL}
    return [
        {
            "point": label(point),
            "utterances": len(words),
            "speakers": resample.n_blocks,
            "words": sum(words),
            "wer": as_fields(rates[index]),
            "insertions": sum(row[3] for row in rows[index]),
            "truncated": sum(row[4] for row in rows[index]),
            "less_stock_full": as_fields(less[0][index]),
            "less_stock_same": as_fields(less[stock[point.context, point.tail]][index]),
            "encode_s": sum(row[5] for row in rows[index]),
            "warning": resample.warning,
        }
        for index, point in enumerate(points)
    ]


def label(point: OperatingPoint) -> str:
    weights = "stock" if point.model == MODEL else "adapted"
    if point.context == "full":
        return f"{weights}, full 30 s"
    return f"{weights}, fit + {point.margin_s:g}, {'silence tail' if point.tail == 'all' else 'no tail'}"


def as_fields(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high, "level": interval.level}


def percent(fields: dict[str, float], sign: str = "") -> str:
    return f"{100 * fields['estimate']:{sign}.2f} [{100 * fields['low']:{sign}.2f}, {100 * fields['high']:{sign}.2f}]"


def page(card: ContextCard, figures: dict[str, Any]) -> str:
    parts = [
        "# Short-context adaptation of tiny.en",
        f"Written by `benchmarks/context/context_adaptation.py`. {stamp_line()}. {card.settings.steps} steps of "
        f"{card.settings.batch_size} windows, {card.seconds / 60:.1f} minutes on {card.threads} thread; trained with "
        f"tail `{card.settings.tail}`, margin {card.settings.margin_s:g} s, without transcripts. Transcribed in int8, "
        "greedy, without guard. Trained on, validated on and reported on: different speakers.",
        markdown_table(
            ["step", "held-out KL, nats a token", "held-out encoder error, relative"],
            [[str(v.step), f"{v.kl:.4f}", f"{v.hidden:.4f}"] for v in card.validations],
        ),
    ]
    for name, rows in figures.items():
        parts += [
            f"## {name}: {rows[0]['utterances']} utterances, {rows[0]['speakers']} speakers, {rows[0]['words']} words",
            markdown_table(
                ["setting", "WER % [95 %]", "less stock full", "less stock, same setting", "insertions", "cut at cap"],
                [
                    [
                        row["point"],
                        percent(row["wer"]),
                        percent(row["less_stock_full"], "+"),
                        percent(row["less_stock_same"], "+"),
                        str(row["insertions"]),
                        str(row["truncated"]),
                    ]
                    for row in rows
                ],
            ),
            rows[0]["warning"] or "",
        ]
    return "\n\n".join(parts)


def print_training(now: AdaptProgress) -> None:
    left = "" if now.remaining_s is None else f", {now.remaining_s:.0f} s left"
    print(f"\rtraining {now.done}/{now.total}{left}   ", end="", flush=True)


def print_sweep(now: Progress) -> None:
    print(f"\r{now.stage} {now.done}/{now.total}   ", end="", flush=True)


if __name__ == "__main__":
    main()
