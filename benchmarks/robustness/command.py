"""The command in a child process, the corpus that it is tried on, and how a call ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
import wave
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.transcription.recording import transcribe_points

MODELS = ("fake:tiny.en", "fake:base")
AXES = ("--models", ",".join(MODELS), "--axis", "token_stride=1,2", "--axis", "beam_size=1", "--axis", "context=full")
LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Call:
    """How one call of the command ended.

    Args:
        what: What was done to its files, and the verb.
        result: ``done``, ``refused`` (an exit code and a message), ``traceback``, ``killed``, or ``wrong`` (done, and
            what is there afterwards is not what it should be).
        why: The message, or what is wrong.
    """

    what: str
    result: str
    why: str = ""


def call(
    what: str, *arguments: object, before: Callable[[], None] | None = None, check: Callable[[], str] | None = None
) -> Call:
    """Run the command in a fork of this process.

    Args:
        what: What it is tried on.
        arguments: Of the command.
        before: Called in the child before it begins.
        check: Called after a success; returns what is wrong, or nothing.
    """
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _run(said.fileno(), [str(part) for part in arguments], before)
        status = _wait(child)
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    last = " ".join(text.split())[-200:]
    if "Traceback (most recent call last)" in text:
        return Call(what, "traceback", last)
    if os.WIFSIGNALED(status):
        return Call(what, "killed", f"signal {os.WTERMSIG(status)}")
    if os.WEXITSTATUS(status):
        return Call(what, "refused", last)
    wrong = check() if check is not None else ""
    return Call(what, "wrong" if wrong else "done", wrong or last)


def _run(output: int, arguments: list[str], before: Callable[[], None] | None) -> None:
    code = 1
    try:
        os.setsid()
        for stream in (1, 2):
            os.dup2(output, stream)
        sys.stdout, sys.stderr = (open(stream, "w", encoding="utf-8", closefd=False) for stream in (1, 2))  # noqa: SIM115
        sys.argv = ["allophone", *arguments]
        if before is not None:
            before()
        from allophone.cli import main

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
            sys.stdout.flush()
        finally:  # whatever a full disk says of that: nothing of the parent's may run in the child
            os._exit(code)


def _wait(child: int) -> int:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def counts(calls: Sequence[Call]) -> dict[str, Any]:
    """Return how many calls ended how, and those that must not be."""
    ended = Counter(one.result for one in calls)
    return {
        "calls": len(calls),
        **{result: ended[result] for result in ("done", "refused", "traceback", "killed", "wrong")},
        "bad": [f"{one.what}: {one.result}: {one.why}" for one in calls if one.result not in ("done", "refused")],
    }


def write_corpus(folder: Path, n: int = 40, n_speakers: int = 8) -> Path:
    """Write tones whose loudness wanders, with what a faultless fake engine hears in them as references."""
    rng, engine, point = np.random.default_rng(1), FakeEngine("base", perfect=True), OperatingPoint(model="fake:base")
    lines = []
    (folder / "audio").mkdir(parents=True)
    for index in range(n):
        size = int(rng.uniform(1.0, 3.0) * SAMPLE_RATE)
        loudness = np.repeat(rng.uniform(0.02, 0.5, size // 1600 + 1), 1600)[:size]
        samples = np.clip(rng.standard_normal(size) * loudness, -1, 1).astype(np.float32)
        path = folder / "audio" / f"u{index:03d}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        (found,) = transcribe_points(engine, samples, [point])
        fields = {"id": path.stem, "audio_filepath": f"audio/{path.name}", "duration": size / SAMPLE_RATE}
        lines.append(json.dumps({**fields, "text": found.text, "speaker": f"s{index % n_speakers}"}))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def rows_of(run: Path) -> list[tuple[Any, ...]]:
    """Return every row's counts and text, but nothing that a clock tells."""
    from allophone.ledger.readers import connect

    with connect(run) as connection:
        found: list[tuple[Any, ...]] = connection.execute(
            "SELECT point, utterance_index, utterance_id, reference, hypothesis, hits, substitutions, insertions, "
            "deletions, executed_flops, error FROM measurements ORDER BY ALL"
        ).fetchall()
    return found
