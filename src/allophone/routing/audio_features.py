"""Audio features of a decider before any decoding: statistics of log-mel and small encoder's output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from allophone.audio.mel import context_frames, log_mel
from allophone.dimensions.moonshine import RecognitionDimensions
from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, HOP_SAMPLES, SAMPLE_RATE, WhisperDimensions
from allophone.models.engine import Engine
from allophone.records.point import OperatingPoint
from allophone.transcription.recording import EncodedRecording, cut_windows, encode_recording

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "TIMED_NOISE_S",
    "AudioView",
    "EncodedAudio",
    "audio_features",
    "encode_audio",
    "encoder_statistics",
    "level_range_db",
    "measure_overhead",
    "mel_channels",
    "mel_statistics",
    "timed_noise",
]

TIMED_NOISE_S = 10  # seconds of audio on which deciding is timed
_MEL_CHANNELS = 80
_BANDS = 20  # groups of neighbouring mel channels
_LOG10_PER_UNIT = 4.0  # Whisper's log-mel is (log10 power + 4) / 4
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_LEVEL_RANGE = 2 + len(_LEVELS) + 2  # its place in what mel_statistics returns


@dataclass(frozen=True, slots=True, eq=False)
class AudioView:
    """What is known of one recording before decoding.

    Args:
        mel: Duration, level and spectrum, shape (n_mel_features,), float32.
        encoder: Mean and deviation over time of every channel, shape (2 x n_audio_state,); None where not run.
    """

    mel: NDArray[np.float32]
    encoder: NDArray[np.float32] | None

    @property
    def level_range_db(self) -> float:
        """Loud over quiet frames in decibels, as among the statistics."""
        return float(self.mel[_LEVEL_RANGE])


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """One recording's windows, encoded.

    Args:
        view: Its statistics.
        recording: Its windows through the encoder; None where no engine ran.
        frames: Frames that the encoder ran on, one per window.
        prepare_s: Seconds of time compression, voice-activity detection and log-mel.
        encode_s: Seconds in the encoder.
        look_s: Seconds of the statistics.
    """

    view: AudioView
    recording: EncodedRecording | None
    frames: tuple[int, ...]
    prepare_s: float
    encode_s: float
    look_s: float


def encode_audio(
    samples: NDArray[np.float32], point: OperatingPoint, engine: Engine | None, n_mels: int = 80
) -> EncodedAudio:
    """Prepare a recording as the point would, encode it where there is an engine, and take statistics.

    Windows longer than one are pooled as if they were one.

    Args:
        samples: Shape (n_samples,), 16 kHz mono.
        point: Its window, context and speed count.
        engine: The point's model; None looks at the log-mel alone.
        n_mels: Channels of the log-mel where there is no engine.
    """
    recording = encode_recording(engine, samples, point) if engine is not None else None
    channels = mel_channels(engine.dimensions) if engine is not None else n_mels
    if recording is not None:
        windows, passes = recording.windows, recording.passes
        prepare_s = recording.cut.wall_s + sum(passed.prepare_s for passed in passes)
        encode_s = sum(passed.encode_s for passed in passes)
        frames = tuple(passed.frames for passed in passes)
    else:
        windows, cut = cut_windows(samples, point)
        prepare_s, encode_s, passes = cut.wall_s, 0.0, []
        frames = tuple(context_frames(window.audio.size, point) for window in windows)
    started = perf_counter()
    if engine is not None and isinstance(engine.dimensions, WhisperDimensions):
        mels = [passed.mels[0] for passed in passes]
    else:  # nothing has made a log-mel yet: a model that reads samples, or none
        mels = [log_mel(window.audio, count, channels) for window, count in zip(windows, frames, strict=True)]
    prepare_s += perf_counter() - started
    encoded = perf_counter()
    heard = [max(1, -(-window.audio.size // HOP_SAMPLES)) for window in windows]  # frames that hold audio, not silence
    sound = [mel[:, :count] for mel, count in zip(mels, heard, strict=True)] or [np.zeros((channels, 1), np.float32)]
    joined = np.concatenate(sound, axis=1)
    pooled = None
    if engine is not None and recording is not None:
        states = [
            _heard_states(engine.features(passed.output), count, passed.frames)
            for passed, count in zip(recording.passes, heard, strict=True)
        ]
        if not states:  # long audio without speech has no windows: one token of silence stands for it
            silence = engine.prepare(np.zeros(0, np.float32), FRAMES_PER_AUDIO_TOKEN)
            states = [engine.features(engine.encode(silence))]
        pooled = encoder_statistics(np.concatenate(states))
    view = AudioView(mel_statistics(joined, samples.size / SAMPLE_RATE), pooled)
    return EncodedAudio(view, recording, frames, prepare_s, encode_s, perf_counter() - encoded)


def mel_channels(dims: RecognitionDimensions) -> int:
    """Return the channels of the log-mel that is looked at: the model's own, or 80 where it reads samples."""
    return dims.n_mels if isinstance(dims, WhisperDimensions) else _MEL_CHANNELS


def _heard_states(states: NDArray[np.float32], heard: int, frames: int) -> NDArray[np.float32]:
    """Return the states of the audio without the silence behind it, at least one."""
    return states[: max(1, -(-len(states) * min(heard, frames) // frames))]


def audio_features(view: AudioView) -> NDArray[np.float32]:
    """Join what a decider reads: log-mel statistics, and the encoder's where it ran."""
    return view.mel if view.encoder is None else np.concatenate([view.mel, view.encoder])


def encoder_statistics(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean and standard deviation over time of states of shape (n_audio_tokens, d): shape (2·d,)."""
    mean = states.mean(axis=0)
    square = np.einsum("td,td->d", states, states) / len(states)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return np.concatenate([mean, deviation]).astype(np.float32)


def mel_statistics(mel: NDArray[np.float32], duration_s: float) -> NDArray[np.float32]:
    """Return duration, levels, dynamics and spectrum of a log-mel of shape (n_mels, n_frames).

    Returns:
        Shape (2 + 5 + 3 + 2 x 20,): seconds and their logarithm; quantiles of the frames' level; share of quiet frames,
        mean change between frames, loud over quiet in decibels; mean and deviation of 20 bands.
    """
    level = mel.mean(axis=0)
    quantiles = np.quantile(level, _LEVELS)
    quiet = (level < (quantiles[0] + quantiles[-1]) / 2).mean()
    change = np.abs(np.diff(mel, axis=1)).mean() if mel.shape[1] > 1 else 0.0
    bands = mel[: mel.shape[0] // _BANDS * _BANDS].reshape(_BANDS, -1, mel.shape[1]).mean(axis=1)
    return np.concatenate(
        [
            [duration_s, np.log(max(duration_s, 0.1))],
            quantiles,
            [quiet, change, level_range_db(mel)],
            bands.mean(axis=1),
            bands.std(axis=1),
        ]
    ).astype(np.float32)


def level_range_db(mel: NDArray[np.float32]) -> float:
    """Return the 95th over the 5th percentile of the frames' mean log power, in decibels."""
    low, high = np.quantile(mel.mean(axis=0), (_LEVELS[0], _LEVELS[-1]))
    return float(10 * _LOG10_PER_UNIT * (high - low))


def timed_noise() -> NDArray[np.float32]:
    """Return the noise of :data:`TIMED_NOISE_S` on which deciding is timed, shape (n_samples,)."""
    return np.random.default_rng(0).normal(size=TIMED_NOISE_S * SAMPLE_RATE).astype(np.float32)


def measure_overhead(look: Callable[[], object], repeats: int = 50) -> float:
    """Return the median seconds of one call, after one that warms up."""
    look()
    times: Sequence[float] = [_timed(look) for _ in range(repeats)]
    return float(np.median(times))


def _timed(look: Callable[[], object]) -> float:
    started = perf_counter()
    look()
    return perf_counter() - started
