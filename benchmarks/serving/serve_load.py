"""``allophone serve`` under load, beside a wrapper round faster-whisper's batched pipeline with the same weights.

The servers run as processes of their own; what is measured takes turns between them. The service runs the model's
default point; faster-whisper its own defaults (five beams too), as one worker on all cores and as a worker per core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import monotonic, perf_counter
from typing import Any

import httpx2

from allophone.corpora.corpus import open_corpus
from allophone.measure.wer import count_word_errors
from allophone.models.threads import physical_cores
from allophone.transcription.transcriber import load
from benchmarks.serving.wrapper import BATCH_SIZE
from benchmarks.shared.quick import begin, command_line, sized
from benchmarks.shared.recording import ROOT, SPEECH, markdown_table, spread, stamp_line, write_result

MODEL = "tiny.en"
SHORT_S = 15.0
FILES = sized(16, 2)
ALONE = sized(12, 2)  # files of the overhead
REPEATS = sized(2, 1)
CLIENTS = sized((1, 4, 16), (1, 2))
SET = "librispeech-train-clean-5"
SERVERS = {
    "allophone": [sys.executable, "-m", "allophone", "serve", "--model", MODEL, "--port", "0"],
    **{
        f"faster-whisper, workers: {workers}": [
            *(sys.executable, "-m", "benchmarks.serving.wrapper"),
            *(MODEL, str(workers)),
        ]
        for workers in sorted({1, physical_cores()})
    },
}
_START_S = 120.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A short recording: its file, its seconds, and what was said."""

    path: Path
    duration_s: float
    text: str


def short_recordings() -> list[Spoken]:
    """Return short utterances of many speakers."""
    chosen = [one for one in open_corpus(SPEECH / SET) if one.duration_s is not None and one.duration_s < SHORT_S]
    return [
        Spoken(one.audio_filepath, float(one.duration_s or 0.0), one.text)
        for one in chosen[:: max(1, len(chosen) // FILES)][:FILES]
    ]


@contextmanager
def started(command: Sequence[str]) -> Iterator[str]:
    """Start a server, and yield its address once it says so; it is ended with the block."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline().strip()
            yield json.loads(line)["url"] if line.startswith("{") else line
        finally:
            process.terminate()
            process.communicate(timeout=60)


def wait_for(url: str) -> None:
    """Return when a server takes connections."""
    deadline = monotonic() + _START_S
    while True:
        try:
            httpx2.get(url, timeout=5)
            return
        except httpx2.TransportError:
            if monotonic() > deadline:
                raise


def ask(client: httpx2.Client, url: str, content: bytes) -> tuple[float, dict[str, Any]]:
    """Return the seconds of one request, and the reply."""
    began = perf_counter()
    reply = client.post(f"{url}/v1/audio/transcriptions", files={"file": content}, data={"model": "whisper-1"})
    seconds = perf_counter() - began
    reply.raise_for_status()
    return seconds, reply.json()


def overhead(url: str, spoken: Sequence[Spoken]) -> dict[str, Any]:
    """Return by how much a request takes longer than the same file in Python; both take turns, file by file."""
    engine, added, alone = load(MODEL), [], []
    engine.transcribe(spoken[0].path)
    with httpx2.Client(timeout=120) as client:
        ask(client, url, spoken[0].path.read_bytes())
        for one in [*spoken[:ALONE]] * REPEATS:
            content, began = one.path.read_bytes(), perf_counter()
            engine.transcribe(one.path)
            alone.append(perf_counter() - began)
            added.append(ask(client, url, content)[0] - alone[-1])
    return {"alone_s": spread(alone), "added_s": spread(added)}


def under_load(url: str, spoken: Sequence[Spoken], clients: int) -> dict[str, Any]:
    """Return throughput, latencies and words of all files, sent by so many clients."""
    contents = [one.path.read_bytes() for one in spoken]
    with httpx2.Client(timeout=600, limits=httpx2.Limits(max_connections=clients)) as client:
        began = perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(lambda content: ask(client, url, content), contents))
        wall_s = perf_counter() - began
    return {
        "wall_s": wall_s,
        "latencies_s": [seconds for seconds, _ in found],
        "texts": [reply["text"] for _, reply in found],
        "gflops": [reply["allophone"]["gflops"] for _, reply in found if "allophone" in reply],
    }


def summary(rounds: Sequence[dict[str, Any]], spoken: Sequence[Spoken]) -> dict[str, Any]:
    """Return the figures of one server at one number of clients, over all rounds."""
    audio_s = sum(one.duration_s for one in spoken)
    latencies = sorted(seconds for one in rounds for seconds in one["latencies_s"])
    counts = [count_word_errors(one.text, text) for one, text in zip(spoken, rounds[0]["texts"], strict=True)]
    errors = sum(one.substitutions + one.insertions + one.deletions for one in counts)
    return {
        "audio_s_per_s": spread([audio_s / one["wall_s"] for one in rounds]),
        "p50_s": quantiles(latencies, n=100)[49],
        "p95_s": quantiles(latencies, n=100)[94],
        "wer": errors / sum(one.hits + one.substitutions + one.deletions for one in counts),
        "texts_alike": all(one["texts"] == rounds[0]["texts"] for one in rounds),
    }


def page(figures: dict[str, Any]) -> str:
    """Return the page."""
    rows = [
        [
            str(clients),
            name,
            f"{found['audio_s_per_s']['median']:.1f}",
            f"{found['p50_s']:.2f}",
            f"{found['p95_s']:.2f}",
            f"{100 * found['wer']:.1f} %",
        ]
        for clients, servers in figures["load"].items()
        for name, found in servers.items()
    ]
    added = figures["overhead"]["added_s"]
    columns = ("clients", "server", "seconds of audio per second", "median latency, s", "95th percentile, s", "WER")
    return "\n\n".join(
        (
            "# The service under load",
            f"{FILES} utterances under {SHORT_S:g} s of {SET}, {REPEATS} rounds in which the servers take turns; "
            f"{MODEL} in int8 for both. The service runs the default point, faster-whisper's batched pipeline (batch "
            f"{BATCH_SIZE}) its defaults behind FastAPI, as the usual wrapper does.",
            markdown_table(columns, rows),
            f"One client, file by file in turn with the same call in Python: a request takes "
            f"{1000 * added['median']:+.0f} ms more (median of {added['repeats']}; {1000 * added['least']:+.0f} to "
            f"{1000 * added['greatest']:+.0f} ms, which is the noise of the machine).",
            stamp_line(),
        )
    )


def main() -> None:
    """Measure the servers in turn."""
    begin(command_line(__doc__))
    spoken = short_recordings()
    rounds: dict[int, dict[str, list[dict[str, Any]]]] = {
        clients: {name: [] for name in SERVERS} for clients in CLIENTS
    }
    with ExitStack() as stack:
        urls = {name: stack.enter_context(started(command)) for name, command in SERVERS.items()}
        for url in urls.values():
            wait_for(url)
            under_load(url, spoken[:2], 2)
        added = overhead(urls["allophone"], spoken)
        for _ in range(REPEATS):
            for clients in CLIENTS:
                for name, url in urls.items():
                    rounds[clients][name].append(under_load(url, spoken, clients))
    figures = {
        "overhead": added,
        "load": {
            str(clients): {name: summary(found, spoken) for name, found in servers.items()}
            for clients, servers in rounds.items()
        },
    }
    settings = {
        "model": MODEL,
        "set": SET,
        "files": FILES,
        "rounds": REPEATS,
        "batch_size": BATCH_SIZE,
        "load_average": os.getloadavg(),
    }
    write_result("serve_load", settings, figures, page(figures))


if __name__ == "__main__":
    main()
