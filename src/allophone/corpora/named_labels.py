"""Labels and speakers that two emotion corpora write into the names of their recordings."""

from __future__ import annotations

import re

__all__ = ["label_of_name"]

# Cao et al., "CREMA-D: Crowd-sourced emotional multimodal actors dataset", 2014: actor, sentence, emotion, intensity.
_CREMA_D = re.compile(r"(?P<speaker>\d{4})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}")
_CREMA_D_EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
# Livingstone and Russo, "The Ryerson audio-visual database of emotional speech and song", 2018: modality, channel,
# emotion, intensity, statement, repetition, actor; two digits each.
_RAVDESS = re.compile(r"\d\d-\d\d-(?P<emotion>\d\d)-\d\d-\d\d-\d\d-(?P<speaker>\d\d)")
_RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}


def label_of_name(stem: str) -> tuple[str | None, str | None]:
    """Return label and speaker that a file's name states: ``1001_DFA_ANG_XX`` or ``03-01-06-01-02-01-12``.

    A name of either form with an emotion code of neither corpus has a speaker and no label; any other name has
    neither. Both corpora use the same words for the same emotion.

    Args:
        stem: The file's name without its suffix.
    """
    for form, emotions in ((_CREMA_D, _CREMA_D_EMOTIONS), (_RAVDESS, _RAVDESS_EMOTIONS)):
        if match := form.fullmatch(stem):
            return emotions.get(match["emotion"]), match["speaker"]
    return None, None
