"""Threads and replicas: what one pass takes with more threads, and what many passes take over more replicas."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from allophone.audio.decode import DecodedAudio, load_audio
from allophone.audio.mel import TRAINED_FRAMES, context_frames, log_mel
from allophone.audio.tail import tail_positions
from allophone.corpora.corpus import open_corpus
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.engine import Engine, load_engine
from allophone.models.threads import choose_replicas, choose_threads, physical_cores
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Transcript
from allophone.transcription.pipeline import transcribe_stream
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import SPEECH, markdown_table, spread, stamp_line, write_result

MODELS = sized(("tiny.en", "base"), ("tiny.en",))
UTTERANCES = sized(24, 2)
REPEATS = sized(5, 1)
BATCHES = (1, 8)
KNOBS: dict[str, Any] = {"context": "fit", "margin_s": 1.0, "tail": "every-4"}


def recordings(count: int) -> list[Any]:
    """Return utterances of many speakers."""
    utterances = list(open_corpus(SPEECH / "librispeech-train-clean-5"))
    return [load_audio(utterance.audio_filepath) for utterance in utterances[:: len(utterances) // count][:count]]


def thread_counts() -> list[int]:
    """Return 1, 2, 4 and so on, up to the physical cores."""
    cores = physical_cores()
    return sorted({*(2**power for power in range(cores.bit_length()) if 2**power <= cores), cores})


def time_passes(engine: Engine, point: OperatingPoint, samples: Any) -> dict[str, float]:
    """Return the seconds of one encoder pass, fit and full, and of one text token of the decoder."""
    seconds = {}
    for name, frames in (("encode_full_s", TRAINED_FRAMES), ("encode_fit_s", context_frames(samples.size, point))):
        mel = log_mel(samples, frames, engine.dimensions.n_mels)
        started = perf_counter()
        encoded = engine.encode(mel)
        seconds[name] = perf_counter() - started
    encoded = engine.append_tail(encoded, tail_positions(frames, point.tail, engine.dimensions.n_audio_ctx))
    started = perf_counter()
    decoded = engine.decode(encoded, token_stride=1, beam_size=1, max_tokens=200, language="en")
    seconds["token_s"] = (perf_counter() - started) / decoded.token_count
    return seconds


def time_stream(engine: Engine, point: OperatingPoint, samples: Sequence[Any], batch_size: int) -> float:
    """Return the seconds that all recordings take over all replicas."""
    started = perf_counter()
    loads = (partial(DecodedAudio, one) for one in samples)
    found = list(transcribe_stream(engine, loads, point, jobs=engine.replicas, batch_size=batch_size))
    assert all(isinstance(one, Transcript) for one in found)
    return perf_counter() - started


def measure(model: str, samples: Sequence[Any], repeats: int) -> dict[str, Any]:
    """Measure one model; every round visits every layout, so that a slow moment falls on all of them."""
    point = OperatingPoint(model=model, **KNOBS)
    counts = thread_counts()
    layouts = [(threads, replicas) for threads in counts for replicas in counts if threads * replicas <= counts[-1]]
    engines = {layout: load_engine(model, "int8", threads=layout[0], replicas=layout[1]) for layout in layouts}
    passes: dict[str, dict[str, list[float]]] = {}
    streams: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):  # the first round warms up
        for (threads, replicas), engine in engines.items():
            if replicas == 1:
                timed = time_passes(engine, point, samples[repeat % len(samples)])
                for name, seconds in timed.items():
                    passes.setdefault(f"threads {threads}", {}).setdefault(name, []).append(seconds)
            for batch_size in BATCHES:
                name = f"threads {threads} x replicas {replicas}, batch {batch_size}"
                streams.setdefault(name, []).append(time_stream(engine, point, samples, batch_size))
    audio_s = sum(one.size for one in samples) / SAMPLE_RATE
    chosen = choose_threads(next(iter(engines.values())).dimensions)
    return {
        "chosen": {"threads": chosen, "replicas": choose_replicas(chosen)},
        "latency": {name: {key: spread(values[1:]) for key, values in timed.items()} for name, timed in passes.items()},
        "rtfx": {name: spread([audio_s / value for value in values[1:]]) for name, values in streams.items()},
    }


def page(figures: dict[str, Any]) -> str:
    """Return the page of the results."""
    lines = ["# Threads and replicas", "", "Medians. Short context with a silence tail of every fourth position, int8."]
    for model, found in figures.items():
        rows = [
            (name, *(f"{1000 * timed[key]['median']:.1f}" for key in ("encode_full_s", "encode_fit_s", "token_s")))
            for name, timed in found["latency"].items()
        ]
        columns = ("one pass", "encoder, full (ms)", "encoder, fit (ms)", "decoder, a token (ms)")
        lines += ["", f"## {model}", "", markdown_table(columns, rows), ""]
        rates = [(name, f"{rate['median']:.1f}") for name, rate in found["rtfx"].items()]
        lines += [markdown_table(("many recordings", "RTFx"), rates), ""]
        lines += [f"Chosen: {found['chosen']['threads']} threads x {found['chosen']['replicas']} replicas."]
    return "\n".join([*lines, "", stamp_line(), "", "Script: `benchmarks/costs/threads.py`."])


def main() -> None:
    """Measure every model."""
    parser = command_line(__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--utterances", type=int, default=UTTERANCES)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--dry-run", action="store_true", help="print the figures and write nothing")
    asked = begin(parser)
    samples = recordings(asked.utterances)
    figures = {model: measure(model, samples, asked.repeats) for model in asked.models}
    settings = {**KNOBS, "compute_type": "int8", "utterances": asked.utterances, "repeats": asked.repeats}
    settings |= {"warm_up_rounds": 1, "audio_s": float(np.sum([one.size for one in samples])) / SAMPLE_RATE}
    if asked.dry_run:
        print(page(figures))
        return
    write_result("threads", settings, figures, page(figures))


if __name__ == "__main__":
    main()
