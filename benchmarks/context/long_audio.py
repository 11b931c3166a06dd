"""Long audio: one speaker's utterances joined, against the same utterances alone; words, time and memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from allophone.audio.decode import load_audio
from allophone.corpora.corpus import open_corpus
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.measure.memory import PeakMemory
from allophone.measure.wer import count_word_errors
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Transcript
from allophone.records.utterance import Utterance
from allophone.transcription.transcriber import Transcriber
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import SPEECH, markdown_table, read_result, rewrite_result, stamp_line, write_result

MODELS = sized(("tiny.en", "base"), ("tiny.en",))
MINUTES = sized((5, 60), (0.5,))
PAUSE_S = 0.3  # between utterances
DRAWN_FROM = {"set": "librispeech-train-clean-5", "purpose": "the one for choosing"}


@dataclass(frozen=True)
class Run:
    """One model on one length; ``alone`` is the sum over the utterances, one at a time."""

    model: str
    minutes: float
    utterances: int
    speakers: int
    words: int
    errors_alone: int
    errors_joined: int
    insertions_alone: int
    insertions_joined: int
    deletions_alone: int
    deletions_joined: int
    windows: int
    rejected_windows: int
    seconds_alone: float
    seconds_joined: float
    prepare_s: float
    rtfx_joined: float
    peak_memory_bytes: int | None


def utterances_of(minutes: float) -> list[Utterance]:
    """Return utterances of one speaker after the other, those with most speech first, until they fill the time."""
    by_speaker: dict[str | None, list[Utterance]] = defaultdict(list)
    for utterance in open_corpus(SPEECH / DRAWN_FROM["set"]):
        by_speaker[utterance.speaker].append(utterance)
    taken, seconds = [], 0.0
    for group in sorted(by_speaker.values(), key=lambda group: -sum(one.duration_s or 0 for one in group)):
        for utterance in group:
            if seconds >= 60 * minutes:
                return taken
            taken.append(utterance)
            seconds += (utterance.duration_s or 0) + PAUSE_S
    return taken


def measure(model: str, minutes: float, transcriber: Transcriber) -> Run:
    """Transcribe the utterances alone, then joined."""
    utterances = utterances_of(minutes)
    recordings = [load_audio(utterance.audio_filepath) for utterance in utterances]
    joined = np.concatenate(list(_with_pauses(recordings)))
    started = perf_counter()
    alone = [found for found in transcriber.transcribe_many(recordings) if isinstance(found, Transcript)]
    alone_s = perf_counter() - started
    memory = PeakMemory()
    memory.start()
    started = perf_counter()
    whole = transcriber.transcribe(joined)
    joined_s = perf_counter() - started
    texts = [utterance.text or "" for utterance in utterances]
    apart = [count_word_errors(text, found.text) for text, found in zip(texts, alone, strict=True)]
    together = count_word_errors(" ".join(texts), whole.text)
    return Run(
        model=model,
        minutes=joined.size / SAMPLE_RATE / 60,
        utterances=len(utterances),
        speakers=len({utterance.speaker for utterance in utterances}),
        words=together.reference_words,
        errors_alone=sum(counts.errors for counts in apart),
        errors_joined=together.errors,
        insertions_alone=sum(counts.insertions for counts in apart),
        insertions_joined=together.insertions,
        deletions_alone=sum(counts.deletions for counts in apart),
        deletions_joined=together.deletions,
        windows=len(whole.segments),
        rejected_windows=sum(segment.rejected is not None for segment in whole.segments),
        seconds_alone=alone_s,
        seconds_joined=joined_s,
        prepare_s=whole.prepare_s,
        rtfx_joined=joined.size / SAMPLE_RATE / joined_s,
        peak_memory_bytes=memory.peak(),
    )


def _with_pauses(recordings: list[Any]) -> Iterator[Any]:
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)
    for samples in recordings:
        yield samples
        yield pause


def page(runs: list[Run], settings: dict[str, Any], measured_on: dict[str, Any] | None = None) -> str:
    """Return the page of the results; figures measured before state the machine they were measured on."""
    columns = ("model", "minutes", "speakers", "WER alone", "WER joined", "ins/del alone", "ins/del joined", "RTFx")
    rows = [
        (
            *(run.model, f"{run.minutes:.1f}", str(run.speakers)),
            *(f"{100 * run.errors_alone / run.words:.2f} %", f"{100 * run.errors_joined / run.words:.2f} %"),
            *(f"{run.insertions_alone}/{run.deletions_alone}", f"{run.insertions_joined}/{run.deletions_joined}"),
            f"{run.rtfx_joined:.1f}",
        )
        for run in runs
    ]
    lines = ["# Long audio", "", f"Utterances of {settings['set']} of one speaker after another, joined with"]
    knobs = ", ".join(f"{name} {value}" for name, value in settings["point"].items())
    lines += [f"{settings['pause_s']} s of silence, against the same utterances alone. Knobs: {knobs}."]
    lines += [f"The set is {settings['purpose']}, and of few speakers: the figures compare joined with alone, they are"]
    lines += ["no test of the point. One repeat, no interval."]
    stamp = stamp_line(measured_on)
    script = "Script: `benchmarks/context/long_audio.py`."
    return "\n".join([*lines, "", markdown_table(columns, rows), "", stamp, "", script])


def main() -> None:
    """Measure every model on every length."""
    parser = command_line(__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=MINUTES)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--dry-run", action="store_true", help="print the figures and write nothing")
    parser.add_argument("--rewrite", action="store_true", help="only write the page again, from its figures")
    asked = begin(parser)
    if asked.rewrite:
        record = read_result("long_audio")
        record["settings"] |= DRAWN_FROM
        runs = [Run(**run) for run in record["figures"]["runs"]]
        rewrite_result(record, page(runs, record["settings"], record["machine"]))
        return
    knobs: dict[str, Any] = {"context": "fit", "margin_s": 1.0, "tail": "all", "guard": True}
    runs = []
    for model in asked.models:
        transcriber = Transcriber(OperatingPoint(model=model, **knobs))
        runs += [measure(model, minutes, transcriber) for minutes in asked.minutes]
    settings = {"point": knobs, "pause_s": PAUSE_S, "minutes": list(asked.minutes), "repeats": 1, **DRAWN_FROM}
    if asked.dry_run:
        print(page(runs, settings), *runs, sep="\n")
        return
    write_result("long_audio", settings, {"runs": [asdict(run) for run in runs]}, page(runs, settings))


if __name__ == "__main__":
    main()
