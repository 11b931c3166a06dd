"""The exhaustive grid of real speech that searches are held against: its points and its utterances."""

from __future__ import annotations

import json
import random
from pathlib import Path

from allophone.records.point import OperatingPoint
from allophone.sweeps.space import SearchSpace
from benchmarks.shared.quick import sized
from benchmarks.shared.recording import SPEECH

SPACE = SearchSpace(
    model=("tiny.en", "base"),
    context=("full", "fit"),
    margin_s=sized((1, 4), (1,)),
    floor_s=(0,),
    tail=sized(("all", "every-4", "none"), ("all",)),
    guard=(False,),
    token_stride=sized((1, 2), (1,)),
    speed=sized((1.0, 1.25), (1.0,)),
    compute_type=sized(("int8", "int16"), ("int8",)),
    beam_size=sized((1, 5), (1,)),
)
RULE = (
    "every combination of model, context (full; fit with a 1 s margin and all or every fourth silent position), stride "
    "and beam; speed 1.25 greedy only; int16 greedy, fit only; no tail with 1 s and 4 s margin, greedy, stride 1"
)
CORPUS = "librispeech-train-clean-5"
N_UTTERANCES = sized(300, 24)
DRAW_SEED = 20250


def kept(point: OperatingPoint) -> bool:
    """Whether a combination belongs to the grid: 48 of them do."""
    plain = point.beam_size == 1 and point.compute_type == "int8" and point.speed == 1
    if point.context == "fit" and (point.tail == "none" or point.margin_s == 4):
        return plain and point.token_stride == 1 and point.tail == "none"
    if point.speed != 1:
        return point.beam_size == 1 and point.compute_type == "int8"
    if point.compute_type != "int8":
        return point.beam_size == 1 and point.context == "fit"
    return True


def draw_utterances() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return manifest rows of the 300 utterances, drawn over all speakers, and of all others in a fixed order."""
    folder = SPEECH / CORPUS
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    rows.sort(key=lambda row: row["id"])
    random.Random(DRAW_SEED).shuffle(rows)
    for row in rows:
        row["audio_filepath"] = str(folder / row["audio_filepath"])
    return rows[:N_UTTERANCES], rows[N_UTTERANCES:]


def write_manifest(out: Path) -> Path:
    """Write the manifest of the 300 utterances beside the run folder."""
    manifest = out.with_suffix(".jsonl")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text("".join(json.dumps(row) + "\n" for row in draw_utterances()[0]), encoding="utf-8")
    return manifest
