"""Where words lie: fit context and time compression against full context, word by word."""

from __future__ import annotations

import json
import random
from difflib import SequenceMatcher

import numpy as np

from allophone.audio.decode import load_audio
from allophone.models.engine import load_engine
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Transcript
from allophone.transcription.recording import transcribe_points
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import SPEECH, markdown_table, stamp_line, write_result

SETS = ("librispeech-train-clean-5", "speechocean762-train")
FIT = {"context": "fit", "margin_s": 1.0}
SETTINGS = {
    "fit, tail all": {**FIT, "tail": "all"},
    "fit, tail every-4": {**FIT, "tail": "every-4"},
    "fit, no tail": FIT,
    "full, speed 1.25": {"speed": 1.25},
    "fit, tail all, speed 1.25": {**FIT, "tail": "all", "speed": 1.25},
    "full, stride 2": {"token_stride": 2},
}
WITHIN_S = 0.1


def main() -> None:
    """Compare begins and ends of the words that both transcripts have."""
    parser = command_line(__doc__)
    parser.add_argument("--utterances", type=int, default=sized(40, 2), help="of each set")
    parser.add_argument("--models", nargs="+", default=sized(["tiny.en", "base"], ["tiny.en"]))
    asked = begin(parser)
    recordings = [audio for name in SETS for audio in draw_recordings(name, asked.utterances)]
    rows, figures = [], {}
    for model in asked.models:
        engine = load_engine(model, "int8", threads=1)
        moved: dict[str, list[tuple[float, float]]] = {setting: [] for setting in SETTINGS}
        for audio in recordings:
            (full,) = transcribe_points(engine, audio, [OperatingPoint(model=model)], words=True)
            for setting, knobs in SETTINGS.items():
                (other,) = transcribe_points(engine, audio, [OperatingPoint(model=model, **knobs)], words=True)
                moved[setting] += differences(full, other)
        figures[model] = {setting: describe(pairs) for setting, pairs in moved.items()}
        for setting, found in figures[model].items():
            shown = [f"{1000 * found[key]:.0f}" for key in ("median_begin_s", "median_end_s", "p95_begin_s")]
            rows.append([model, setting, str(found["words"]), *shown, f"{100 * found['within']:.1f}"])
    columns = (
        *("model", "setting", "words compared", "begin: median ms", "end: median ms", "begin: 95th percentile ms"),
        f"begins within {1000 * WITHIN_S:.0f} ms %",
    )
    page = "\n\n".join(
        [
            "# Word times against full context",
            "Written by `benchmarks/context/word_times.py`: "
            f"{asked.utterances} utterances each of {' and '.join(SETS)}, int8, "
            "greedy; absolute differences over the words that a setting and full context (no compression, no stride) "
            f"both recognised. {stamp_line()}.",
            markdown_table(columns, rows),
        ]
    )
    write_result("word_times", {"sets": SETS, "utterances": asked.utterances}, figures, page)


def draw_recordings(name: str, count: int) -> list[np.ndarray]:
    """Return a seeded draw of a set's recordings."""
    folder = SPEECH / name
    lines = (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = sorted(map(json.loads, lines), key=lambda row: str(row["id"]))
    return [load_audio(folder / row["audio_filepath"]) for row in random.Random(13).sample(rows, count)]


def differences(full: Transcript, other: Transcript) -> list[tuple[float, float]]:
    """Return how far begin and end of each common word moved, in seconds."""
    ours, theirs = ([word for segment in made.segments for word in segment.words] for made in (full, other))
    texts = [[word.text.strip(" .,?!").lower() for word in words] for words in (ours, theirs)]
    blocks = SequenceMatcher(a=texts[0], b=texts[1], autojunk=False).get_matching_blocks()
    pairs = [(ours[block.a + step], theirs[block.b + step]) for block in blocks for step in range(block.size)]
    return [(abs(one.start_s - two.start_s), abs(one.end_s - two.end_s)) for one, two in pairs]


def describe(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Summarise the moves of one setting."""
    begins, ends = np.array(pairs).T
    return {
        "words": len(pairs),
        "median_begin_s": float(np.median(begins)),
        "median_end_s": float(np.median(ends)),
        "p95_begin_s": float(np.quantile(begins, 0.95)),
        "within": float(np.mean(begins <= WITHIN_S)),
    }


if __name__ == "__main__":
    main()
