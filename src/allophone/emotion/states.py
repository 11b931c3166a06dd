"""Hidden states below the trained layers: computed anew for every batch, or read from a cache.

Both give the same numbers up to half precision, so that what a cache saves can be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from allophone.audio.faults import as_audio_error
from allophone.audio.utterance_audio import load_utterance
from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.emotion.head import state_moments
from allophone.emotion.model import EmotionModel
from allophone.errors import AudioError
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FreshStates", "StateSource", "check_audible", "is_silent", "load_clip", "pad_clips"]

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


class StateSource(Protocol):
    """Where a model's training reads the states of a corpus's utterances, by their place in the corpus."""

    @property
    def failures(self) -> dict[int, str]:
        """Why an utterance cannot be used, by place."""

    def tokens(self, row: int) -> int:
        """Audio tokens of an utterance."""

    def samples(self, row: int) -> int:
        """Samples of an utterance's clip."""

    def lower(self, rows: Sequence[int]) -> tuple[list[Any], Any]:
        """Hidden states 0 to ``model.first``, padded to ``(batch, audio tokens, width)``, and which tokens are real."""

    def moments(self, rows: Sequence[int]) -> tuple[Any, Any]:
        """Moments of all hidden states, as :func:`allophone.emotion.head.state_moments`; for probes."""


class FreshStates:
    """Runs the frozen part of the model for every batch; keeps decoded samples in memory and nothing else.

    Args:
        model: The model to be trained.
        utterances: The corpus, or any part of it.
        duration_s: Seconds of each recording.
    """

    def __init__(self, model: EmotionModel, utterances: Sequence[Utterance], duration_s: float) -> None:
        self._model = model
        self._clips: dict[int, Any] = {}
        self._tokens: dict[int, int] = {}
        self.failures: dict[int, str] = {}
        for row, utterance in enumerate(utterances):
            try:
                with as_audio_error(str(utterance.audio_filepath)):
                    clip = load_clip(utterance, duration_s)
                    self._tokens[row] = len(model.front(clip))
                self._clips[row] = clip
            except AudioError as error:
                self.failures[row] = str(error)

    def tokens(self, row: int) -> int:
        """Audio tokens of an utterance."""
        return self._tokens[row]

    def samples(self, row: int) -> int:
        """Samples of an utterance's clip."""
        return int(self._clips[row].size)

    def lower(self, rows: Sequence[int]) -> tuple[list[Any], Any]:
        """As :class:`StateSource`."""
        hidden, inside = pad_clips([self._model.front(self._clips[row]) for row in rows])
        return self._model.frozen_states(hidden, inside), inside

    def moments(self, rows: Sequence[int]) -> tuple[Any, Any]:
        """As :class:`StateSource`."""
        return state_moments(*self.lower(rows))


def pad_clips(clips: Sequence[Any]) -> tuple[Any, Any]:
    """Put clips of different lengths into one batch.

    Args:
        clips: Tensors of shape ``(audio tokens, width)``.

    Returns:
        Shape ``(batch, most audio tokens, width)``, zeros behind each clip, and which tokens are real, boolean, shape
        ``(batch, most audio tokens)``; None where all clips have one length.
    """
    import torch

    lengths = [len(clip) for clip in clips]
    if len(set(lengths)) == 1:
        return torch.stack(list(clips)), None
    padded = torch.nn.utils.rnn.pad_sequence(list(clips), batch_first=True)
    ends = torch.tensor(lengths, device=padded.device)
    return padded, torch.arange(padded.shape[1], device=padded.device) < ends[:, None]
