"""Training windows: whole utterances and random cuts of them, with validation speakers held apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from allophone.audio.mel import TRAINED_FRAMES, window_frames
from allophone.audio.utterance_audio import load_utterance
from allophone.corpora.corpus import Corpus
from allophone.dimensions.whisper import SAMPLE_RATE, TRAINED_CONTEXT_S
from allophone.errors import UsageError
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Speakers", "Window", "draw_windows", "hold_out", "validation_windows"]

_CUT_SHARE = 0.5  # of the windows are a cut: read speech has few short utterances, and there models loop most
_SHORTEST_S = 1.0
_FULL_SHARE = 0.0625  # of the windows anchor the encoder at full context, every second one of them on silence
_VALIDATION_WINDOWS = 24


@dataclass(frozen=True, slots=True)
class Window:
    """Audio for one pass, and the log-mel frames that the student's encoder runs on.

    Args:
        name: The utterance it was taken from.
        samples: Shape ``(n_samples,)``, 16 kHz; none for an anchor on silence.
        frames: Frames of the student's pass; the trained 3000 for an anchor.
    """

    name: str
    samples: NDArray[np.float32]
    frames: int


@dataclass(frozen=True, slots=True)
class Speakers:
    """A corpus divided by speaker. An utterance that names none is a speaker of its own."""

    train: tuple[Utterance, ...]
    held_out: tuple[Utterance, ...]
    held_out_speakers: tuple[str, ...]


def hold_out(corpus: Corpus, n_speakers: int, seed: int) -> Speakers:
    """Keep some speakers for validation: those whose names' digests come first, so that more utterances change little.

    Raises:
        UsageError: Too few speakers to keep that many and train on at least one.
        CorpusError: The corpus cannot be read.
    """
    utterances = list(corpus)
    names = {_speaker(utterance) for utterance in utterances}
    if len(names) <= n_speakers:
        raise UsageError(
            f"{corpus.path}: has {len(names)} speakers, so {n_speakers} cannot be held out with one left to train on. "
            "Give more speakers, or hold out fewer."
        )
    kept = sorted(names, key=lambda name: sha256(f"{seed}:{name}".encode()).digest())[:n_speakers]
    return Speakers(
        train=tuple(utterance for utterance in utterances if _speaker(utterance) not in kept),
        held_out=tuple(utterance for utterance in utterances if _speaker(utterance) in kept),
        held_out_speakers=tuple(sorted(kept)),
    )


def draw_windows(utterances: Sequence[Utterance], step: int, *, n: int, margin_s: float, seed: int) -> list[Window]:
    """Draw the windows of one step; equal arguments give equal windows, whatever was drawn before.

    Args:
        utterances: Those of the training speakers.
        step: From 0.
        n: How many windows.
        margin_s: Silence after the audio, in seconds.
        seed: Fixes the draw.

    Raises:
        AudioError: A recording cannot be decoded.
    """
    import numpy as np

    rng = np.random.default_rng((seed, 1, step))
    windows = []
    for _ in range(n):
        utterance = utterances[int(rng.integers(len(utterances)))]
        anchor = rng.random() < _FULL_SHARE
        if anchor and rng.random() < 0.5:
            windows.append(Window("silence", np.zeros(0, np.float32), TRAINED_FRAMES))
            continue
        samples = _cut(load_utterance(utterance), margin_s, rng)
        windows.append(_window(utterance, samples, margin_s, full=anchor))
    return windows


def validation_windows(utterances: Sequence[Utterance], *, margin_s: float, seed: int) -> list[Window]:
    """Draw up to 24 short windows of the held-out speakers, half of them cuts; no anchors.

    Raises:
        AudioError: A recording cannot be decoded.
    """
    import numpy as np

    rng = np.random.default_rng((seed, 2))
    chosen = rng.permutation(len(utterances))[:_VALIDATION_WINDOWS]
    return [
        _window(utterances[index], _cut(load_utterance(utterances[index]), margin_s, rng), margin_s) for index in chosen
    ]


def _speaker(utterance: Utterance) -> str:
    return f"utterance {utterance.id}" if utterance.speaker is None else utterance.speaker


def _cut(samples: NDArray[np.float32], margin_s: float, rng: Any) -> NDArray[np.float32]:
    longest = min(samples.size, int((TRAINED_CONTEXT_S - margin_s) * SAMPLE_RATE))
    shortest = min(longest, int(_SHORTEST_S * SAMPLE_RATE))
    length = int(rng.integers(shortest, longest + 1)) if rng.random() < _CUT_SHARE else longest
    start = int(rng.integers(samples.size - length + 1))
    return samples[start : start + length]


def _window(utterance: Utterance, samples: NDArray[np.float32], margin_s: float, *, full: bool = False) -> Window:
    frames = window_frames(samples.size, context="full" if full else "fit", margin_s=margin_s, floor_s=0.0)
    return Window(utterance.id, samples, frames)
