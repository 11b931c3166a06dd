"""What several test files build: small corpora of tones, ledger rows, whole runs without an engine."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from allophone.audio.decode import load_audio
from allophone.audio.mel import log_mel
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.ledger.ledger import Ledger
from allophone.ledger.run_record import RecognitionRunRecord, machine_stamp
from allophone.models.fake import FakeEngine
from allophone.records.measurement import Measurement
from allophone.records.point import OperatingPoint


def write_wav(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def tone(duration_s: float, seed: int) -> np.ndarray:
    """A tone whose loudness wanders, so that the fake engine hears words in it."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    loudness = np.interp(time, np.linspace(0, duration_s, 12), rng.uniform(0.05, 0.9, 12))
    return (loudness * np.sin(2 * np.pi * (200 + 50 * seed) * time)).astype(np.float32)


def write_tones(folder: Path, n: int = 6, n_speakers: int = 2, *, references: bool = True) -> Path:
    """A manifest of n short tones; the references are what a faultless fake engine hears."""
    perfect = FakeEngine("tiny", perfect=True)
    lines = []
    for index in range(n):
        path = write_wav(folder / "audio" / f"u{index}.wav", tone(1.0 + 0.5 * (index % 4), index))
        row: dict[str, Any] = {
            "id": f"u{index}",
            "audio_filepath": f"audio/u{index}.wav",
            "duration": 1.0 + 0.5 * (index % 4),
        }
        row["speaker"] = f"s{index % n_speakers}"
        if references:
            mel = log_mel(load_audio(path), 3000, 80)
            heard = perfect.decode(perfect.encode(mel), token_stride=1, beam_size=1, max_tokens=200, language="en")
            row["text"] = heard.text
        lines.append(json.dumps(row))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def measurement(point: OperatingPoint, index: int, **changes: Any) -> Measurement:
    """A ledger row of ten correct words, ten seconds of audio and one second of latency, with changes."""
    row: dict[str, Any] = {
        "point": point.name,
        "utterance_index": index,
        "utterance_id": f"u{index}",
        "speaker": f"s{index % 2}",
        "duration_s": 10.0,
        "reference": "one two three four five six seven eight nine ten",
        "hypothesis": "one two three four five six seven eight nine ten",
        "normalizer": "english",
        "relative_to": None,
        "hits": 10,
        "substitutions": 0,
        "insertions": 0,
        "deletions": 0,
        "text_tokens": 11,
        "prompt_tokens": 2,
        "window_frames": [3000],
        "window_tail": [0],
        "window_tokens": [11],
        "truncated_windows": 0,
        "rejected_windows": 0,
        "avg_logprob": -0.2,
        "no_speech_prob": 0.01,
        "compression_ratio": 1.2,
        "token_logprobs": [-0.2] * 11,
        "token_entropies": [0.3] * 11,
        "confidence_s": 0.001,
        "load_s": 0.01,
        "prepare_s": 0.1,
        "encode_s": 0.6,
        "decode_s": 0.3,
        "latency_s": 1.0,
        "executed_flops": 40_000_000_000,
        "published_flops": 60_000_000_000,
        "roofline_s": 0.25,
        "peak_memory_bytes": 300_000_000,
        "error": None,
    }
    return Measurement(**{**row, **changes})


def run_record(points: Iterable[OperatingPoint], n_utterances: int, **changes: Any) -> RecognitionRunRecord:
    fields: dict[str, Any] = {
        "created": "2026-01-01T00:00:00+00:00",
        "corpus": "corpus",
        "fingerprint": "f" * 64,
        "n_utterances": n_utterances,
        "n_speakers": 2,
        "duration_s": 10.0 * n_utterances,
        "plan": "star",
        "space": {"model": ["tiny.en"]},
        "points": list(points),
        "normalizer": "english",
        "language": "en",
        "relative_to": None,
        "device": "cpu",
        "threads": 1,
        "machine": machine_stamp(),
    }
    return RecognitionRunRecord(**{**fields, **changes})


def write_run(
    folder: Path, rows: dict[OperatingPoint, list[dict[str, Any]]], n_utterances: int | None = None, **changes: Any
) -> Path:
    """A run folder holding one row per given change set, in order."""
    count = n_utterances or max(len(changed) for changed in rows.values())
    record = run_record(rows, count, **changes)
    same = {"normalizer": record.normalizer, "relative_to": record.relative_to}
    with Ledger(folder, record) as ledger:
        for point, changed in rows.items():
            ledger.append([measurement(point, index, **{**same, **change}) for index, change in enumerate(changed)])
    return folder


@contextmanager
def small_files(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond this size, as on a disk that is full."""
    import resource
    import signal

    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, usual)
