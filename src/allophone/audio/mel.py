"""Log-mel frames as Whisper was trained on them, computed only where there is audio."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any

from allophone.dimensions.whisper import FRAMES_PER_AUDIO_TOKEN, HOP_SAMPLES, SAMPLE_RATE, TRAINED_CONTEXT_S
from allophone.records.point import Context, OperatingPoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TRAINED_FRAMES", "context_frames", "log_mel", "window_frames"]

N_FFT = 400  # samples: 25 ms
TRAINED_FRAMES = round(TRAINED_CONTEXT_S * SAMPLE_RATE) // HOP_SAMPLES  # 3000


def context_frames(n_samples: int, point: OperatingPoint) -> int:
    """Return how many log-mel frames the encoder runs on for one window.

    Full context is the trained 3000 frames. Fit context is the audio plus ``margin_s``, at least ``floor_s``, at most
    3000, rounded up to whole audio tokens.

    Args:
        n_samples: Length of the window after time compression, at 16 kHz.
        point: The operating point; its ``context``, ``margin_s`` and ``floor_s`` count.
    """
    return window_frames(n_samples, context=point.context, margin_s=point.margin_s, floor_s=point.floor_s)


def window_frames(n_samples: int, *, context: Context, margin_s: float, floor_s: float) -> int:
    """Return the frames of one window from the knobs themselves: the rule that engines run and cost formulas bill.

    Args:
        n_samples: Length of the window after time compression, at 16 kHz.
        context: ``full`` or ``fit``.
        margin_s: Seconds of silence after the audio, in a fit context.
        floor_s: Least seconds that the encoder runs on, in a fit context.
    """
    if context == "full":
        return TRAINED_FRAMES
    wanted = max(n_samples + margin_s * SAMPLE_RATE, floor_s * SAMPLE_RATE)
    tokens = max(1, ceil(wanted / (HOP_SAMPLES * FRAMES_PER_AUDIO_TOKEN)))
    return min(tokens * FRAMES_PER_AUDIO_TOKEN, TRAINED_FRAMES)


def log_mel(samples: NDArray[np.float32], n_frames: int, n_mels: int) -> NDArray[np.float32]:
    """Compute the log-mel spectrogram of audio followed by digital silence.

    Equal to padding the samples with zeros to ``n_frames`` and transforming all of it (what openai/whisper does), but
    the silent frames, which are all alike, are computed once.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz; at most ``n_frames`` frames long, longer audio is cut.
        n_frames: Frames to return, 10 ms each.
        n_mels: Channels: 80, or 128 for large-v3.

    Returns:
        Shape ``(n_mels, n_frames)``, float32, contiguous.
    """
    import numpy as np

    samples = samples[: n_frames * HOP_SAMPLES]
    # Frame k covers samples [160k - 200, 160k + 200): this many frames touch the audio.
    touched = min(ceil((samples.size + N_FFT // 2) / HOP_SAMPLES), n_frames)
    padded = np.zeros((touched + 3) * HOP_SAMPLES, np.float32)
    padded[: samples.size] = samples
    spectrogram = _extractor(n_mels)(padded, padding=0)
    mel = np.empty((n_mels, n_frames), np.float32)
    mel[:, :touched] = spectrogram[:, :touched]
    mel[:, touched:] = spectrogram[:, touched + 1 : touched + 2]
    return mel


@lru_cache(maxsize=2)
def _extractor(n_mels: int) -> Any:
    from faster_whisper.feature_extractor import FeatureExtractor

    return FeatureExtractor(feature_size=n_mels)
