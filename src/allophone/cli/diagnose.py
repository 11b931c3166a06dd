"""``allophone diagnose``: which knob binds, which is wasted, what to buy next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from allophone.cli.say import say
from allophone.cli.show import Wide

__all__ = ["diagnose"]


def diagnose(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    point: Annotated[
        str | None,
        typer.Option(
            help="A measured point, by name or id (docs/names.md); else the recommended one, else the plan's centre."
        ),
    ] = None,
    cost: Annotated[
        str,
        typer.Option(
            help="executed_gflops, published_gflops, rtf, latency_p50_s, latency_p95_s, peak_memory_bytes or "
            "rtf_throughput; of emotion runs also trainable_params, training_gflops or train_s."
        ),
    ] = "executed_gflops",
    confidence: Annotated[float, typer.Option(help="Probability from which something is sure.")] = 0.95,
    margin: Annotated[float, typer.Option(help="Points of error rate that count as no gain or no loss.")] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: fractions, GFLOPs, seconds, bytes.")] = False,
    wide: Wide = False,
) -> None:
    """Say which knob binds at an operating point, which is wasted, and what to buy next."""
    from allophone.cli.show import print_table
    from allophone.diagnosis.emotion import EmotionDiagnosis, diagnose_emotion
    from allophone.diagnosis.recognition import diagnose as diagnose_speech
    from allophone.frontier.probability import check_confidence
    from allophone.ledger.run_record import EmotionRunRecord, read_run
    from allophone.report.diagnosis import AnyDiagnosis, diagnosis_json, diagnosis_lines, diagnosis_table
    from allophone.report.emotion_diagnosis_text import emotion_lines, emotion_table

    check_confidence(confidence)
    emotion = isinstance(read_run(run), EmotionRunRecord)
    found: AnyDiagnosis = (diagnose_emotion if emotion else diagnose_speech)(run, point, cost, confidence, margin / 100)
    if as_json:
        say(diagnosis_json(found))
        return
    if isinstance(found, EmotionDiagnosis):
        table, lines = emotion_table(found), emotion_lines(found)
    else:
        table, lines = diagnosis_table(found), diagnosis_lines(found)
    print_table(table, wide=wide)
    say()
    for line in lines:
        say(line)
