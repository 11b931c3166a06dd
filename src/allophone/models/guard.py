"""The guard: tells from a short pass's own output that it went wrong and deserves the full context."""

from __future__ import annotations

from allophone.records import Segment

__all__ = ["distrust"]

_MAX_COMPRESSION_RATIO = 2.4  # openai/whisper's own bound
_MIN_AVG_LOGPROB = -1.0


def distrust(segment: Segment) -> str | None:
    """Return why a pass is not to be believed, or None.

    Args:
        segment: The transcript of one window.
    """
    if segment.truncated:
        return "text-token cap reached"
    if segment.compression_ratio > _MAX_COMPRESSION_RATIO:
        return "repetition"
    if segment.avg_logprob < _MIN_AVG_LOGPROB:
        return "low log-probability"
    return None
