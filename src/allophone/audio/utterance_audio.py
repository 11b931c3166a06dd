"""Samples of an utterance: its whole recording, or the part of one that a manifest names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from allophone.audio.decode import LONGEST_S, DecodedAudio, decode_audio
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["decode_utterance", "load_utterance"]

# What a manifest may state beside the truth: seconds rounded, and the padding that codecs add.
_ROUNDING_S = 0.5
_ROUNDING_SHARE = 0.05


def load_utterance(utterance: Utterance, *, longest_s: float = LONGEST_S) -> NDArray[np.float32]:
    """Decode an utterance and return its samples alone; arguments and errors are those of :func:`decode_utterance`."""
    return decode_utterance(utterance, longest_s=longest_s).samples


def decode_utterance(utterance: Utterance, *, longest_s: float = LONGEST_S) -> DecodedAudio:
    """Decode an utterance.

    The length that the corpus states for a whole recording is not believed: where it differs from what was decoded by
    more than 0.5 s and 5 %, a notice says so.

    Args:
        utterance: A recording, or a part of one.
        longest_s: Most seconds of audio.

    Raises:
        AudioError: As :func:`allophone.audio.decode.decode_audio`; also where the recording ends before the part does.
    """
    path, stated_s = utterance.audio_filepath, utterance.duration_s
    if utterance.offset_s is not None:
        return decode_audio(path, offset_s=utterance.offset_s, duration_s=stated_s, longest_s=longest_s)
    decoded = decode_audio(path, longest_s=longest_s)
    decoded_s = decoded.samples.size / SAMPLE_RATE
    if not stated_s or abs(decoded_s - stated_s) <= max(_ROUNDING_S, _ROUNDING_SHARE * stated_s):
        return decoded
    notice = (
        f"the corpus states {stated_s:.1f} s and the recording has {decoded_s:.1f} s, all of them taken; a part of a "
        "recording is named by 'offset' and 'duration'"
    )
    return replace(decoded, notices=(*decoded.notices, notice))
