"""The guard: tells from a short pass's own output that it went wrong and deserves the full context.

A short pass fails in one way above all: the decoder misses the end of the audio and goes on, mostly in a loop. What a
loop looks like does not depend on the model, so the bounds are common to all; ``benchmarks/context_tail.py``
states how many failures they miss and how many good passes they turn down. At any context the decoder may also end
early, mostly where a sentence or a quotation does, and leave the rest of the window out.
"""

from __future__ import annotations

from math import log2

from allophone.records.transcript import Segment

__all__ = ["LONG_S", "SLOW_TOKENS_PER_SECOND", "better_pass", "distrust", "may_end_early"]

# Fast readers reach 5.2 text tokens a second; a short call of a few words needs some beyond its length.
_TOKENS_PER_SECOND = 5.5
_TOKENS_AT_LEAST = 5
# openai/whisper distrusts an average below this (its ``logprob_threshold``), and believes in silence above 0.6.
_LEAST_AVG_LOGPROB = -1.0
_NO_SPEECH = 0.6
# Read speech has 2 to 5 text tokens a second; short calls and words with pauses between them have fewer.
SLOW_TOKENS_PER_SECOND = 2.2
LONG_S = 6.0


def distrust(segment: Segment) -> str | None:
    """Return why a pass is not to be believed, or None where nothing speaks against it.

    Args:
        segment: The transcript of one window.
    """
    said_s = segment.end_s - segment.start_s
    if segment.truncated:
        return "text-token cap reached"
    if segment.token_count > _TOKENS_PER_SECOND * said_s + _TOKENS_AT_LEAST:
        return "more text than can be said"
    if segment.text and segment.compression_ratio > largest_compression_ratio(len(segment.text.encode())):
        return "repetition"
    if segment.text and segment.avg_logprob < _LEAST_AVG_LOGPROB:
        return "low log-probability"
    if not segment.text and segment.no_speech_prob < _NO_SPEECH:
        return "no text, but speech"
    return None


def may_end_early(segment: Segment, speech_s: float | None = None) -> bool:
    """Return whether a pass has so little text for its length that the decoder may have ended before the speech did.

    Slow speakers and pauses look the same, so the places of its words have to be looked up to tell.

    Args:
        segment: The transcript of one window.
        speech_s: Seconds of speech in it; None, where nobody has looked, takes all of it for speech.
    """
    said_s = segment.end_s - segment.start_s if speech_s is None else speech_s
    return bool(segment.text) and said_s >= LONG_S and segment.token_count < SLOW_TOKENS_PER_SECOND * said_s


def better_pass(short: Segment, whole: Segment) -> Segment:
    """Return the pass to believe after a short one was turned down and the whole context was run.

    Full context fails too, most often on a second or two of hard speech, where it sees silence for 28 s. So it wins
    unless it gives reason for distrust itself; then the pass that stopped by itself wins, and of equals the likelier.

    Args:
        short: The pass that was turned down.
        whole: The same window at full context.
    """
    if distrust(whole) is None:
        return whole
    return max(whole, short, key=lambda passed: (not passed.truncated, passed.avg_logprob))


def largest_compression_ratio(n_bytes: int) -> float:
    """Return the largest compression ratio of plain English text of a length.

    openai/whisper's bound of 2.4 is for 30 s of speech. Short texts compress less, so a short loop stays below it:
    over prompts and read sentences of 15 to 1000 bytes, 999 of 1000 lie below ``0.65 + 0.155 log2(n)``.

    Args:
        n_bytes: Length of the text in UTF-8, at least 1.
    """
    return 0.65 + 0.155 * log2(n_bytes)
