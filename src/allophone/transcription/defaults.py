"""Default operating point of a model that nobody has swept yet."""

from __future__ import annotations

from allophone.records.point import OperatingPoint

__all__ = ["default_point"]

# The models on which the silence tail was measured against full context (docs/results/context_tail.md).
_MEASURED = ("tiny.en", "base")


def default_point(model: str) -> OperatingPoint:
    """Return the cheapest greedy int8 point without measured loss.

    For tiny.en and base that is a fit context with 1 s margin, the whole silence tail and the guard; for models on
    which a short context was not measured it is full context.

    Args:
        model: A name in the dimensions table, a CTranslate2 folder or a hub repository.
    """
    if model in _MEASURED:
        return OperatingPoint(model=model, context="fit", margin_s=1.0, tail="all", guard=True)
    return OperatingPoint(model=model)
