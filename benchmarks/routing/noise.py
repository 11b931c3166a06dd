"""Noise mixed into report utterances, and how many of them a policy then sends on."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from allophone.audio.decode import load_audio
from allophone.files import write_whole
from allophone.models.engine import load_engine
from allophone.records.point import OperatingPoint
from allophone.routing.policy_file import read_policy
from allophone.routing.scoring import load_scorer
from allophone.routing.transcript_features import TranscriptFeatures, transcript_reading
from allophone.transcription.recording import transcribe_points
from benchmarks.shared.quick import sized
from benchmarks.shared.recording import SPEECH

SNRS_DB = sized((20, 10, 5, 0), (10,))
NOISY = 24  # utterances of each report set that noise is mixed into


def under_noise(policy: Path, runs: list[Path], kept: Path) -> list[dict[str, float | None]]:
    """Count how many utterances climb at a cascade's threshold, by signal-to-noise ratio.

    Args:
        policy: A cascade.
        runs: Report runs, whose manifests name the recordings.
        kept: Where the first point's readings lie, or go: another policy on the same point needs no inference.
    """
    card = read_policy(policy)
    scorer = load_scorer(policy, card)
    rows: list[dict[str, float | None]] = []
    for snr_db, readings in noisy_readings(card.points[0], runs, kept):
        scores = scorer.score_readings(0, readings)
        climbing = float(np.mean(scores > card.threshold))
        rows.append({"snr_db": snr_db, "share_to_big": climbing, "mean_score": float(np.mean(scores))})
    return rows


def noisy_readings(
    point: OperatingPoint, runs: list[Path], kept: Path
) -> Iterator[tuple[int | None, list[TranscriptFeatures]]]:
    """Yield what a point's transcripts show at every ratio, None first: without noise."""
    asked: dict[str, Any] = {"point": point.name, "runs": [run.name for run in runs], "clips": NOISY, "snrs": SNRS_DB}
    asked = json.loads(json.dumps(asked))
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    if found.get("asked") != asked:
        found = {"asked": asked, "readings": _transcribe(point, runs)}
        write_whole(kept, json.dumps(found))
    for snr_db, rows in zip((None, *SNRS_DB), found["readings"], strict=True):
        yield snr_db, [TranscriptFeatures(**row) for row in rows]


def _transcribe(point: OperatingPoint, runs: list[Path]) -> list[list[dict[str, Any]]]:
    sounds = [load_audio(path) for path in sorted((SPEECH / "noise").glob("*.flac"))]
    clips = []
    for run in runs:
        lines = run.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
        picked = random.Random(11).sample(lines, NOISY)
        clips += [load_audio(Path(json.loads(line)["audio_filepath"])) for line in picked]
    engine = load_engine(point.model, point.compute_type, threads=1)
    found = []
    for snr_db in (None, *SNRS_DB):
        rng = np.random.default_rng(3)  # the same noise and place at every ratio
        mixed = [mix(clip, sounds, snr_db, rng) for clip in clips]
        transcripts = [transcribe_points(engine, clip, [point], language="en", confidence=True)[0] for clip in mixed]
        found.append([asdict(transcript_reading(transcript)) for transcript in transcripts])
    return found


def mix(clip: np.ndarray, sounds: list[np.ndarray], snr_db: int | None, rng: np.random.Generator) -> np.ndarray:
    """Add a stretch of one noise at a ratio of mean powers; None leaves the clip as it is."""
    sound = sounds[rng.integers(len(sounds))]
    start = int(rng.integers(max(1, sound.size - clip.size)))
    if snr_db is None:
        return clip
    noise = np.resize(sound[start:], clip.size)
    ratio = np.mean(clip**2) / max(float(np.mean(noise**2)), 1e-12)
    mixed: np.ndarray = np.clip(clip + noise * np.sqrt(ratio / 10 ** (snr_db / 10)), -1, 1).astype(np.float32)
    return mixed
