"""What the peers are given: two test sets of short utterances, and one long recording with its parts' references."""

from __future__ import annotations

import json
import random
import wave
from pathlib import Path

import numpy as np

from allophone.audio.decode import load_audio
from allophone.corpora.corpus import open_corpus
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.records.utterance import Utterance
from benchmarks.shared.recording import SPEECH

SETS = {"test-other": "librispeech-test-other", "speechocean762-test": "speechocean762-test"}
LONG_FROM = "librispeech-train-clean-5"  # the only set with an hour of speech; its WER is no test of a chosen point
PAUSE_S = 0.5
LEAST_SPEAKER_S = 120.0  # so that even ten minutes hold several speakers
SHORT_S = 15.0
SEED = 0


def read_set(name: str, sample: int | None = None) -> list[Utterance]:
    """Return a test set in its order, or a seeded sample of it."""
    utterances = list(open_corpus(SPEECH / SETS[name]))
    if sample is None or sample >= len(utterances):
        return utterances
    kept = random.Random(SEED).sample(range(len(utterances)), sample)
    return [utterances[index] for index in sorted(kept)]


def long_parts(minutes: float) -> list[Utterance]:
    """Return the utterances of a long recording in order: several speakers, one after another.

    Args:
        minutes: Length to reach, pauses included; the last utterance may pass it.
    """
    by_speaker: dict[str | None, list[Utterance]] = {}
    for utterance in open_corpus(SPEECH / LONG_FROM):
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    speakers = sorted(by_speaker, key=str)
    random.Random(SEED).shuffle(speakers)
    share_s = max(LEAST_SPEAKER_S, 60 * minutes / len(speakers))
    parts: list[Utterance] = []
    for speaker in speakers:
        said_s = 0.0
        for utterance in by_speaker[speaker]:
            if said_s >= share_s or _length_s(parts) >= 60 * minutes:
                break
            parts.append(utterance)
            said_s += (utterance.duration_s or 0.0) + PAUSE_S
    return parts


def write_long(minutes: float, path: Path) -> None:
    """Write a long recording, each utterance followed by a pause; one that is there stays."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)
    sounds = [piece for part in long_parts(minutes) for piece in (load_audio(part.audio_filepath), pause)]
    partial = path.with_suffix(".partial")
    with wave.open(str(partial), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.rint(np.concatenate(sounds).clip(-1, 1) * 32767).astype("<i2").tobytes())
    partial.rename(path)


def _length_s(parts: list[Utterance]) -> float:
    return sum((part.duration_s or 0.0) + PAUSE_S for part in parts)


class Log:
    """Rows in a JSONL file, appended one by one; what is there is not measured again.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if not text.endswith("\n") and text:  # a row cut off by an interruption
            text = text[: text.rfind("\n") + 1]
            path.write_text(text, encoding="utf-8")
        self.rows = [json.loads(line) for line in text.splitlines()]
        self.keys = {tuple(row["key"]) for row in self.rows if "key" in row}

    def add(self, **row: object) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        if "key" in row:
            self.keys.add(tuple(row["key"]))  # type: ignore[call-overload]
