"""FLOPs, parameters and bytes of a setting, by a model's name or folder, in closed form."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from allophone.costs import EmotionCost, RecognitionCost, emotion_cost, moonshine_cost, whisper_cost
from allophone.costs.recognition import prompt_length
from allophone.dimensions.moonshine import MOONSHINE_MODELS, MoonshineDimensions, RecognitionDimensions
from allophone.dimensions.speech_encoders import SpeechEncoderDimensions, dimensions
from allophone.errors import UnknownModelError, UsageError
from allophone.models.weights import locate_weights

__all__ = ["EMOTION_KNOBS", "MOONSHINE_KNOBS", "RECOGNITION_KNOBS", "cost", "find_dimensions"]

RECOGNITION_KNOBS: dict[str, Any] = {
    "audio_s": 30.0,
    "window_s": 30.0,
    "context": "full",
    "margin_s": 0.0,
    "floor_s": 0.0,
    "tail": "none",
    "token_stride": 1,
    "speed": 1.0,
    "beam_size": 1,
    "text_tokens": 20,
    "prompt_tokens": None,
    "compute_type": "int8",
}
EMOTION_KNOBS: dict[str, Any] = {"duration_s": 4.0, "lora_rank": 0, "unfrozen_layers": 0, "classes": 6}
_NOT_MOONSHINE = ("context", "margin_s", "floor_s", "tail", "prompt_tokens", "compute_type")
MOONSHINE_KNOBS = {name: value for name, value in RECOGNITION_KNOBS.items() if name not in _NOT_MOONSHINE}


def find_dimensions(model: str | Path) -> RecognitionDimensions | SpeechEncoderDimensions:
    """Return a model's dimensions by its name in the tables, or read off the weights in a folder.

    Raises:
        UnknownModelError: The name is in no table.
        WeightsError: The folder's weights are damaged.
    """
    name = str(model)
    if os.path.isdir(os.path.expanduser(name)):
        found = locate_weights(name)
        assert found is not None  # a folder either has weights or is an error
        return found.dimensions
    if name in MOONSHINE_MODELS:
        return MOONSHINE_MODELS[name]
    try:
        return dimensions(name)
    except UnknownModelError as error:
        raise UnknownModelError(f"{error}, {', '.join(MOONSHINE_MODELS)}") from None


def cost(
    model: str | Path, *, convention: Literal["executed", "published"] = "executed", **knobs: Any
) -> RecognitionCost | EmotionCost:
    """Return what a setting executes; a knob of emotion recognition makes it the cost of an encoder with a head.

    Args:
        model: A name in the tables of dimensions, or a CTranslate2 folder.
        convention: ``executed``, or ``published`` as arXiv 2606.22790 counts.
        **knobs: Of :data:`RECOGNITION_KNOBS` or :data:`EMOTION_KNOBS`, by the names of ``allophone cost``'s options;
            the others have the values given there. ``prompt_tokens`` None is the model's own prompt.

    Raises:
        UnknownModelError: The model is in no table and no folder.
        UsageError: A knob that this task does not have with this model.
        SpaceError: A knob value is impossible.
    """
    dims = find_dimensions(model)
    moonshine = isinstance(dims, MoonshineDimensions)
    emotion = not moonshine and (isinstance(dims, SpeechEncoderDimensions) or bool(knobs.keys() & EMOTION_KNOBS))
    known = EMOTION_KNOBS if emotion else MOONSHINE_KNOBS if moonshine else RECOGNITION_KNOBS
    if wrong := sorted(knobs.keys() - known):
        task = "emotion recognition" if emotion else "speech recognition"
        raise UsageError(f"{', '.join(wrong)}: no such knob in {task} with {model}; it has: {', '.join(known)}.")
    used = {**known, **knobs}
    if emotion:
        assert not isinstance(dims, MoonshineDimensions)
        return emotion_cost(dims, **used, convention=convention)
    assert not isinstance(dims, SpeechEncoderDimensions)
    if isinstance(dims, MoonshineDimensions):
        return moonshine_cost(dims, **used, convention=convention)
    if used["prompt_tokens"] is None:
        used["prompt_tokens"] = prompt_length(dims)
    return whisper_cost(dims, **used, convention=convention)
