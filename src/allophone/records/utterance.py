"""An utterance of a corpus: a recording, or a part of one, with its reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Utterance"]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording with its reference.

    Args:
        id: Name of the utterance, unique in its corpus.
        audio_filepath: Where the recording lies.
        duration_s: Length in seconds as the corpus states it, or None where it states none.
        text: Reference transcript, or None.
        label: Reference class for emotion recognition, or None.
        speaker: Who speaks, or None.
        offset_s: Where in the recording the utterance begins, in seconds, if it is a part of one: then it lasts
            ``duration_s``, or to the end where that is None. None where the whole recording is the utterance.
    """

    id: str
    audio_filepath: Path
    duration_s: float | None = None
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    offset_s: float | None = None
