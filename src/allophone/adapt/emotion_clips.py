"""What a recogniser hears of a recording: its first seconds, if there is anything to hear."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from allophone.audio.decode import load_audio
from allophone.dimensions import SAMPLE_RATE
from allophone.errors import AudioError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_audible", "load_clip"]

_SILENCE = 2**-13  # four steps of 16 bits: below -78 dB of full scale


def check_audible(samples: NDArray[np.float32], name: str) -> None:
    """Refuse samples that are silent throughout.

    Args:
        samples: Shape ``(n_samples,)``, in [-1, 1).
        name: What to call them in the error.

    Raises:
        AudioError: No sample, or none louder than four steps of 16 bits.
    """
    if samples.size == 0 or float(abs(samples).max()) < _SILENCE:
        raise AudioError(f"{name}: silent throughout, so no emotion can be heard. Leave it out or record it again.")


def load_clip(path: Path, duration_s: float) -> NDArray[np.float32]:
    """Decode a recording and return its first ``duration_s`` seconds, or all of it where it is shorter.

    Args:
        path: The recording.
        duration_s: Seconds to keep.

    Returns:
        Samples of shape ``(n_samples,)``, 16 kHz.

    Raises:
        AudioError: It cannot be decoded, holds no sample, or is silent throughout.
    """
    samples = load_audio(path)
    check_audible(samples, str(path))
    return samples[: round(duration_s * SAMPLE_RATE)]
