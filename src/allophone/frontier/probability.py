"""Checking a confidence that a user asks for: a probability, not percent."""

from __future__ import annotations

from allophone.errors import SpaceError

__all__ = ["check_confidence"]


def check_confidence(confidence: float | None) -> None:
    """Refuse a confidence that is no probability between 0.5 and 1; None asks for none.

    Raises:
        SpaceError: It is none; of one in percent the message says how to write it.
    """
    if confidence is None or 0.5 < confidence < 1:
        return
    meant = f"; for {confidence:g} % write {confidence / 100:g}" if 50 < confidence < 100 else ""
    raise SpaceError(f"the confidence is {confidence:g}; it must lie between 0.5 and 1{meant}.")
