"""The default operating point, chosen: beams, tail and the guard's ladder against faster-whisper's defaults.

The stage ``measure`` runs every setting on every window of the choosing data, interleaved and resumable;
``judge`` reads the rows and writes ``docs/results/default_point``. Only data for choosing is read, and of that only
utterances that lie behind those drawn to train the shipped learned tails, as far as their order is known.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from allophone.audio.decode import load_audio
from allophone.audio.mel import context_frames
from allophone.audio.windows import speech_spans
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.frontier.confidence import draw_replicates
from allophone.measure.bootstrap import resample_ratio_difference
from allophone.measure.intervals import intervals
from allophone.measure.wer import count_word_errors
from allophone.models.engine import Engine, load_engine
from allophone.models.weights import resolve_weights
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment
from allophone.transcription.defaults import default_point
from allophone.transcription.fallback import failure_reason
from allophone.transcription.recording import transcribe_points
from allophone.transcription.repeats import longest_run
from allophone.transcription.windows import DecodeExtras, EncodedWindows, Window, decode_once, encode_windows
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import RUNS, SPEECH, markdown_table, stamp_line, write_result

READ, HARD = "librispeech-train-clean-5", "speechocean762-train"
# Of the shuffled manifests, at most so many trained the shipped tails.
TRAINED_ON = sized({READ: 1000, HARD: 550}, {READ: 0, HARD: 0})
DRAW = sized(  # windows: clean, at 10 dB, at 0 dB
    {READ: (15, 10, 10), HARD: (60, 24, 24), "joined": (12,)}, {READ: (1, 1, 1), HARD: (1, 1, 1), "joined": (1,)}
)
MODELS = sized(("tiny.en", "base"), ("tiny.en",))
PEER = "faster-whisper"
SETTINGS = (("all", 1), ("all", 5), ("learned", 1), ("learned", 2), ("learned", 3), ("learned", 5), ("every-4", 5))
FIRST = (("none", 1), ("none", 5), ("learned", 1), ("learned", 5))  # passes that the ladder starts from
LOOPS = ("text-token cap reached", "more text than can be said", "repetition")
WAYS = (
    ("penalty 1.1", "fit", {"repetition_penalty": 1.1}),
    ("penalty 1.2", "fit", {"repetition_penalty": 1.2}),
    ("whole tail", "whole tail", {}),
    ("whole tail, penalty 1.2", "whole tail", {"repetition_penalty": 1.2}),
    ("5 beams", "fit", {"beam_size": 5}),
    ("full context", "full", {}),
    ("full context, penalty 1.2", "full", {"repetition_penalty": 1.2}),
)


def main() -> None:
    """Measure, or write the page."""
    parser = command_line(__doc__)
    parser.add_argument("stage", nargs="?", choices=("measure", "judge", "both"), default="both")
    parser.add_argument("--out", type=Path, default=RUNS / "default-point")
    told = "how many of the 155, the first in a random order"
    parser.add_argument("--windows", type=int, default=60, help=told)
    asked = begin(parser)
    if asked.stage != "judge":
        for model in MODELS:
            measure(model, asked.out / f"{model}.jsonl", windows()[: asked.windows])
    if asked.stage != "measure":
        judge(asked.out)


def point(model: str, tail: str, beam_size: int, *, guard: bool = True) -> OperatingPoint:
    """A fit context with 1 s margin."""
    return OperatingPoint(model=model, context="fit", margin_s=1.0, tail=tail, guard=guard, beam_size=beam_size)


def rows(corpus: str) -> list[dict[str, Any]]:
    """Manifest rows that trained no tail, in a fixed random order: the tails' training shuffled them alike."""
    found = {}
    rng = random.Random(1)
    for name in (READ, HARD):
        lines = (SPEECH / name / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
        found[name] = [json.loads(line) | {"folder": str(SPEECH / name)} for line in lines]
        rng.shuffle(found[name])
    return found[corpus][TRAINED_ON[corpus] :]


def windows() -> list[dict[str, Any]]:
    """Name, set, utterances and signal-to-noise ratio of every window, in a random order."""
    found = []
    for corpus in (READ, HARD):
        drawn = iter(rows(corpus))
        for n, snr_db in zip(DRAW[corpus], (None, 10, 0), strict=True):
            kind = corpus if snr_db is None else f"{corpus}, {snr_db} dB"
            found += [{"id": f"{kind}/{k}", "set": kind, "of": [next(drawn)], "snr_db": snr_db} for k in range(n)]
    rng = random.Random(7)
    hard, read = rows(HARD), rows(READ)
    for k in range(DRAW["joined"][0]):  # 10 to 28 s of several speakers, half of them in noise
        longest, parts, total = rng.uniform(10, 28), [], 0.0
        while total < longest:
            parts.append(rng.choice(hard if rng.random() < 0.8 else read))
            total += parts[-1]["duration"] + 0.3
        parts = parts[:-1] or parts
        found.append({"id": f"joined/{k}", "set": "joined", "of": parts, "snr_db": rng.choice([None, 10])})
    random.Random(3).shuffle(found)
    return found


def audio(window: dict[str, Any]) -> np.ndarray:
    """The window's samples, with noise where it has a ratio."""
    rng = random.Random(window["id"])
    gap = np.zeros(int(0.3 * SAMPLE_RATE), np.float32)
    parts = [part for row in window["of"] for part in (load_audio(Path(row["folder"]) / row["audio_filepath"]), gap)]
    speech = np.concatenate(parts[:-1])[: 29 * SAMPLE_RATE]
    if window["snr_db"] is None:
        return speech
    noise = load_audio(rng.choice(sorted((SPEECH / "noise").glob("*.flac"))))
    noise = np.resize(np.roll(noise, -rng.randrange(noise.size)), speech.size)
    gain = np.sqrt((speech**2).mean() / (noise**2).mean() / 10 ** (window["snr_db"] / 10))
    mixed = speech + gain * noise
    return (mixed / max(1.0, abs(mixed).max())).astype(np.float32)


def measure(model: str, path: Path, every: list[dict[str, Any]]) -> None:
    """Run all windows that are not yet in the file."""
    from faster_whisper import WhisperModel

    path.parent.mkdir(parents=True, exist_ok=True)
    done = {json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()} if path.is_file() else set()
    engine = load_engine(model, "int8", threads=1)
    peer = WhisperModel(str(resolve_weights(model).folder), compute_type="int8", cpu_threads=1)
    points = [point(model, tail, beam) for tail, beam in SETTINGS]
    transcribe_points(engine, np.zeros(SAMPLE_RATE, np.float32), points)  # what is set up once
    with path.open("a", encoding="utf-8") as file:
        for number, window in enumerate(every):
            if window["id"] in done:
                continue
            samples, reference = audio(window), " ".join(row["text"] for row in window["of"])
            runs = [PEER, *points]
            turned = runs[number % len(runs) :] + runs[: number % len(runs)]
            found = {}
            for run in turned:
                if isinstance(run, str):
                    found[PEER] = by_peer(peer, samples, reference)
                else:
                    found[run.name] = by_point(engine, run, samples, reference)
            row = {
                "id": window["id"],
                "set": window["set"],
                "speaker": window["of"][0]["speaker"],
                "seconds": samples.size / SAMPLE_RATE,
                "runs": found,
                "ways": ways_out(engine, model, samples, reference) if number % 2 == 0 else [],
            }
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{model} {number + 1}/{len(every)}", flush=True)


def counted(reference: str, text: str) -> dict[str, Any]:
    """Errors of one text."""
    counts = count_word_errors(reference, text)
    return {"errors": counts.errors, "words": counts.reference_words, "repeats": longest_run(text).count, "text": text}


def by_peer(peer: Any, samples: np.ndarray, reference: str) -> dict[str, Any]:
    """faster-whisper with its defaults: five beams, timestamps, temperatures 0 to 1."""
    started = time.perf_counter()
    text = "".join(segment.text for segment in peer.transcribe(samples, language="en")[0])
    return {"latency_s": time.perf_counter() - started, **counted(reference, text)}


def by_point(engine: Engine, setting: OperatingPoint, samples: np.ndarray, reference: str) -> dict[str, Any]:
    """One operating point alone."""
    started = time.perf_counter()
    (transcript,) = transcribe_points(engine, samples, [setting])
    latency_s = time.perf_counter() - started
    flops = transcript_flops(engine.dimensions, transcript).total
    extra = len(transcript.passes) - len(transcript.segments)
    return {"latency_s": latency_s, **counted(reference, transcript.text), "flops": flops, "rejected": extra}


def ways_out(engine: Engine, model: str, samples: np.ndarray, reference: str) -> list[dict[str, Any]]:
    """What each way out makes of first passes that are not believed, on windows that hold speech."""
    window = Window(samples, 0.0, samples.size / SAMPLE_RATE)
    spoken, found = None, []
    frames = context_frames(samples.size, point(model, "none", 1))
    fit = encode_windows(engine, [window], frames)
    whole: EncodedWindows | None = None
    for tail, beam in FIRST:
        setting = point(model, tail, beam)
        first = decode(engine, window, fit, setting)
        reason = failure_reason(first)
        if reason is None:
            continue
        spoken = bool(speech_spans(samples, 30.0)) if spoken is None else spoken
        if not spoken:
            return []
        whole = encode_windows(engine, [window], 3000) if whole is None else whole
        tried = {}
        for name, over, extra in WAYS:
            started = time.perf_counter()
            shown = setting if over == "fit" else setting.model_copy(update={"tail": "all"})
            again = decode(engine, window, whole if over == "full" else fit, shown, **extra)
            seconds = time.perf_counter() - started + (whole.encode_s + whole.prepare_s if over == "full" else 0.0)
            loops = failure_reason(again) in LOOPS
            tried[name] = {**counted(reference, again.text), "loops": loops, "seconds": seconds}
        found.append(
            {"tail": tail, "beam_size": beam, "reason": reason, "kept": counted(reference, first.text), **tried}
        )
    return found


def decode(engine: Engine, window: Window, encoded: EncodedWindows, setting: OperatingPoint, **extra: Any) -> Segment:
    """One pass over one window."""
    return decode_once(engine, [window], encoded, setting, ["en"], DecodeExtras(), **extra)[0]


def judge(folder: Path) -> None:
    """Compare, and write the page."""
    figures: dict[str, Any] = {}
    parts = [
        "# The default operating point",
        "Written by `benchmarks/context/default_point.py`. Data for choosing only, and of that only utterances on "
        "which the learned tails were most likely not trained (their draw is reconstructed; speakers are shared): "
        "read speech, non-native speech, the same with noise at 10 and 0 dB, and several speakers joined to 10 to 28"
        " s. Fit context with 1 s margin and guard, int8, one thread, every setting alone on every window, in turns."
        " faster-whisper runs with its defaults: five beams, timestamps, temperatures 0 to 1. Differences are in "
        "points of WER with 95 % intervals, first speakers "
        f"resampled as blocks. {stamp_line()}.",
    ]
    for model in MODELS:
        lines = [json.loads(line) for line in (folder / f"{model}.jsonl").read_text("utf-8").splitlines()]
        table = settings_table(lines)
        chosen = default_point(model).name
        figures[model] = {"windows": len(lines), "settings": table, "ways": ways_table(lines), "default": chosen}
        parts += [f"## {model}: {len(lines)} windows, {sum(line['seconds'] for line in lines) / 60:.0f} minutes"]
        parts += [f"The default is `{chosen}`."]
        head = ("setting", "WER %", "less faster-whisper's", "times as fast: in all", "median window")
        parts += [markdown_table((*head, "GFLOPs", "passes turned down", "most repeats"), [shown(x) for x in table])]
        parts += [set_table(lines)]
    parts += ["## Ways out of a pass that is not believed", ways_text(figures)]
    settings = {"draw": DRAW, "trained_on_at_most": TRAINED_ON, "settings": SETTINGS, "first": FIRST}
    write_result("default_point", settings, figures, "\n\n".join(parts))


def settings_table(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every setting against faster-whisper's defaults."""
    speakers = [line["speaker"] for line in lines]
    words = np.array([line["runs"][PEER]["words"] for line in lines], float)
    peer = np.array([[line["runs"][PEER][key] for line in lines] for key in ("errors", "latency_s")], float)
    found = []
    for name in (PEER, *(name for name in lines[0]["runs"] if name != PEER)):
        runs = [line["runs"][name] for line in lines]
        errors, latency_s = np.array([[run[key] for run in runs] for key in ("errors", "latency_s")], float)
        change = intervals(
            resample_ratio_difference(np.stack([errors, peer[0]]), words, draw_replicates(speakers, 0.95), 1)
        )[0]
        found.append(
            {
                "setting": name,
                "wer": errors.sum() / words.sum(),
                "change": [change.estimate, change.low, change.high],
                "times_as_fast": peer[1].sum() / latency_s.sum(),
                "times_as_fast_median": float(np.median(peer[1] / latency_s)),
                "gflops": None if name == PEER else sum(run["flops"] for run in runs) / len(runs) / 1e9,
                "rejected": None if name == PEER else sum(run["rejected"] for run in runs),
                "most_repeats": max(run["repeats"] for run in runs),
            }
        )
    return sorted(found, key=lambda line: (line["setting"] != PEER, line["setting"]))


def shown(line: dict[str, Any]) -> list[str]:
    """One row of the page."""
    peer = line["setting"] == PEER
    return [
        PEER if peer else f"`{line['setting']}`",
        f"{100 * line['wer']:.2f}",
        "" if peer else "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * value for value in line["change"])),
        f"{line['times_as_fast']:.2f}",
        f"{line['times_as_fast_median']:.2f}",
        "" if peer else f"{line['gflops']:.1f}",
        "" if peer else str(line["rejected"]),
        str(line["most_repeats"]),
    ]


def set_table(lines: list[dict[str, Any]]) -> str:
    """Word error rate by set."""
    sets = sorted({line["set"] for line in lines})
    names = sorted(lines[0]["runs"], key=lambda name: (name != PEER, name))
    table = []
    for name in names:
        rates = []
        for kind in sets:
            runs = [line["runs"][name] for line in lines if line["set"] == kind]
            rates.append(f"{100 * sum(run['errors'] for run in runs) / sum(run['words'] for run in runs):.1f}")
        table.append([name if name == PEER else f"`{name}`", *rates])
    return markdown_table(("WER %", *sets), table)


def ways_table(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Word errors, loops left and seconds of each way out, by first pass and by why it was turned down."""
    every = [way for line in lines for way in line["ways"]]
    found = []
    for tail, beam in FIRST:
        for kind in ("loop", "low log-probability"):
            passes = [
                way
                for way in every
                if (way["tail"], way["beam_size"]) == (tail, beam) and (way["reason"] in LOOPS) == (kind == "loop")
            ]
            if not passes:
                continue
            ways: dict[str, Any] = {"keep": {"errors": sum(way["kept"]["errors"] for way in passes)}}
            for name, *_ in WAYS:
                ways[name] = {key: sum(way[name][key] for way in passes) for key in ("errors", "loops", "seconds")}
            words = sum(way["kept"]["words"] for way in passes)
            found.append(
                {"tail": tail, "beam_size": beam, "reason": kind, "passes": len(passes), "words": words, "ways": ways}
            )
    return found


def ways_text(figures: dict[str, Any]) -> str:
    """The table of ways out."""
    table = []
    for model in MODELS:
        for line in figures[model]["ways"]:
            cells = [
                f"{way['errors']}" + (f" ({way['loops']}; {way['seconds']:.1f} s)" if name != "keep" else "")
                for name, way in line["ways"].items()
            ]
            first = f"{line['tail']}, {line['beam_size']} beams"
            table.append([model, first, line["reason"], f"{line['passes']} ({line['words']})", *cells])
    head = ("model", "first pass: tail", "turned down for", "passes (words)", "keep", *(name for name, *_ in WAYS))
    return (
        "Every second window; first passes that the guard's signs turn down and that hold speech. Word errors, in "
        "brackets how many of the passes loop still, and the seconds of all of them.\n\n" + markdown_table(head, table)
    )


if __name__ == "__main__":
    main()
