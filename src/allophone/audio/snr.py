"""Signal-to-noise ratio (SNR) of a recording, estimated from the recording alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allophone.dimensions.whisper import HOP_SAMPLES, SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["estimate_snr_db"]

_SMOOTHED = 7  # neighbouring frames of 10 ms whose power is averaged, so that few frames of noise are quiet by chance
_QUIET = 0.1  # share of the recording taken for pauses: no speaker talks without any
_LEAST_S = 1.0
_RANGE_DB = (-10.0, 60.0)  # beyond, the estimate says nothing: 60 dB is less than the rounding of 16-bit samples


def estimate_snr_db(samples: NDArray[np.float32]) -> float | None:
    """Estimate the power of speech over that of noise, taking the quietest tenth of a recording for noise alone.

    The least-power idea of noise estimation (Martin, "Noise power spectral density estimation based on optimal
    smoothing and minimum statistics", 2001), without bands and for one recording: with ``p`` the power of 10 ms frames
    smoothed over 70 ms, ``noise`` the 10 % quantile of ``p``, the ratio is ``(mean(p) - noise) / noise``. It holds for
    steady noise. Other voices have pauses too, so of them too little counts as noise; speech without pauses, and
    reverberation that fills them, count as noise.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz.

    Returns:
        Decibels from -10 to 60; None for less than a second, and for digital silence.
    """
    import numpy as np

    n_frames = samples.size // HOP_SAMPLES
    if samples.size < _LEAST_S * SAMPLE_RATE:
        return None
    frames = samples[: n_frames * HOP_SAMPLES].reshape(n_frames, HOP_SAMPLES)
    power = np.einsum("ij,ij->i", frames, frames).astype(np.float64)  # no copy of an hour of samples
    power = np.convolve(power, np.full(_SMOOTHED, 1 / _SMOOTHED), mode="valid")
    mean, noise = float(power.mean()), float(np.quantile(power, _QUIET))
    if mean <= 0:
        return None
    low, high = _RANGE_DB
    ratio = (mean - noise) / noise if noise > 0 else np.inf
    return float(np.clip(10 * np.log10(max(ratio, 10 ** (low / 10))), low, high))
