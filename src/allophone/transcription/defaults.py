"""Default operating point of a model that nobody has swept yet."""

from __future__ import annotations

from allophone.audio.tail import learned_vectors
from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.models.learned_tail import has_learned_tail
from allophone.records.point import LEARNED_TAIL, OperatingPoint

__all__ = ["default_point", "default_tail"]

# The models on which a short context was measured against faster-whisper's defaults (docs/results/default_point.md).
_MEASURED = ("tiny.en", "base")
_BEAMS = 5


def default_point(model: str) -> OperatingPoint:
    """Return the int8 point that was measured to be better and faster than faster-whisper's defaults.

    For tiny.en and base that is a fit context with 1 s margin, the default tail, the guard and five beams, which is
    also the centre of a sweep. Whisper models on which a short context was not measured have full context and five
    beams; Moonshine is greedy.

    Args:
        model: A name in the dimensions table, a CTranslate2 folder or a hub repository.
    """
    if model in MOONSHINE_MODELS:
        return OperatingPoint(model=model)
    if model in _MEASURED:
        tail = default_tail(model)
        return OperatingPoint(model=model, context="fit", margin_s=1.0, tail=tail, guard=True, beam_size=_BEAMS)
    return OperatingPoint(model=model, beam_size=_BEAMS)


def default_tail(model: str) -> str:
    """Return the tail of a fit context where none is asked for: the shipped learned one, or the whole silence."""
    return LEARNED_TAIL if has_learned_tail(model, learned_vectors(LEARNED_TAIL)) else "all"
