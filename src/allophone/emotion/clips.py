"""What a recogniser hears of a recording: its first seconds, if there is anything to hear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allophone.audio.utterance_audio import load_utterance
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_audible", "is_silent", "load_clip"]

LEAST_S = 0.1  # of a recording; less is no sound that a voice gives a feeling to
_SILENCE = 2**-13  # four steps of 16 bits: below -78 dB of full scale


def is_silent(samples: NDArray[np.float32]) -> bool:
    """Whether no sample of shape ``(n_samples,)`` is louder than four steps of 16 bits; so where there is none."""
    return samples.size == 0 or float(abs(samples).max()) < _SILENCE


def check_audible(samples: NDArray[np.float32], name: str) -> None:
    """Refuse a recording that is silent throughout, or too short to be heard as speech.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz, in [-1, 1); the whole recording, not a window of it.
        name: What to call it in the error.

    Raises:
        AudioError: No sample, none louder than four steps of 16 bits, or less than 0.1 s of them.
    """
    if is_silent(samples):
        raise AudioError(f"{name}: silent throughout, so no emotion can be heard. Leave it out or record it again.")
    if samples.size < round(LEAST_S * SAMPLE_RATE):
        raise AudioError(
            f"{name}: too short ({1000 * samples.size / SAMPLE_RATE:.1f} ms): an emotion needs at least {LEAST_S:g} s "
            "to be heard. Leave it out or record it again."
        )


def load_clip(utterance: Utterance, duration_s: float) -> NDArray[np.float32]:
    """Decode an utterance and return its first ``duration_s`` seconds, or all of it where it is shorter.

    Args:
        utterance: A recording, or a part of one.
        duration_s: Seconds to keep.

    Returns:
        Samples of shape ``(n_samples,)``, 16 kHz.

    Raises:
        AudioError: It cannot be decoded, holds no sample, is silent throughout or shorter than 0.1 s.
    """
    samples = load_utterance(utterance)
    check_audible(samples, str(utterance.audio_filepath))
    return samples[: round(duration_s * SAMPLE_RATE)]
