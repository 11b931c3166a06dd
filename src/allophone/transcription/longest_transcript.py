"""Upper bound of a transcript's text tokens, known from the recording's length before it is decoded."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, inf

from allophone.audio.mel import context_frames
from allophone.audio.windows import most_windows
from allophone.dimensions.whisper import SAMPLE_RATE, TRAINED_CONTEXT_S
from allophone.models.engine import text_token_cap
from allophone.records.point import OperatingPoint
from allophone.transcription.fallback import LONG_S, NEAR, NEARLY_WHOLE, SLOW_TOKENS_PER_SECOND
from allophone.transcription.recording import PACK_FIT_S

__all__ = ["most_text_tokens", "pass_text_tokens"]

_STRETCHED_S = 0.1  # time compression returns whole steps, so the compressed length is known to within this


def most_text_tokens(point: OperatingPoint, duration_s: float) -> float:
    """Return the most text tokens that a recording's transcript can have.

    A pass has the cap of :func:`allophone.models.engine.text_token_cap`. A guard goes on behind the last word of a pass
    with little text for its length (:mod:`allophone.transcription.fallback`), each time on a window that is shorter by
    half a second at least. Where it may cut a window in parts, at any pause, nothing useful bounds their number.

    Args:
        point: The operating point.
        duration_s: Length of the recording.

    Returns:
        A whole number, or infinity where no bound is known: a guard, and a window of nearly the trained context.
    """
    speed = point.speed
    compressed_s = duration_s / speed + (0.0 if speed == 1 else _STRETCHED_S)
    windows = most_windows(compressed_s, point.window_s, PACK_FIT_S if point.context == "fit" else None)
    longest_s = min(compressed_s, point.window_s)
    if not point.guard:
        each = text_token_cap(longest_s * speed)
        together = text_token_cap(0.0) * windows + int((text_token_cap(1.0) - text_token_cap(0.0)) * duration_s)
        return each if windows == 1 else min(windows * each, together)
    longest = ceil(longest_s * SAMPLE_RATE)
    if context_frames(longest, point) >= NEARLY_WHOLE:
        return inf
    return windows * _guarded(longest, speed)


def pass_text_tokens(duration_s: float) -> int:
    """Return the most text tokens of one pass over a recording in whole windows of 30 s and the rest.

    Args:
        duration_s: Length of the recording.
    """
    whole, rest_s = divmod(duration_s, TRAINED_CONTEXT_S)
    return int(whole) * text_token_cap(TRAINED_CONTEXT_S) + (text_token_cap(rest_s) if rest_s else 0)


@lru_cache(maxsize=4096)
def _guarded(n_samples: int, speed: float) -> int:
    """Most tokens of one guarded window that is never cut in parts."""
    said_s = n_samples / SAMPLE_RATE * speed
    tokens, written = text_token_cap(said_s), 0
    while said_s >= LONG_S:
        written += int(SLOW_TOKENS_PER_SECOND * said_s)
        said_s -= NEAR // 2 / SAMPLE_RATE * speed
        tokens = max(tokens, written + text_token_cap(said_s))
    return tokens
