"""Segmentation of long audio: cuts at silences, into windows that one encoder pass can take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from allophone.dimensions.whisper import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Cut",
    "Span",
    "clip_spans",
    "longest_pause",
    "most_windows",
    "pack_spans",
    "speech_spans",
    "split_windows",
]

Span = tuple[int, int]  # samples: start, end

_LEAST = SAMPLE_RATE // 10
_PIECE = 600 * SAMPLE_RATE  # samples searched at once: the search takes three times their memory


@dataclass(frozen=True, slots=True)
class Cut:
    """A window of a recording, in samples.

    Args:
        start: Where it starts.
        end: Where it ends.
        speech: Where speech was found in it, counted from its start; None where it was not searched.
    """

    start: int
    end: int
    speech: tuple[Span, ...] | None = None


def split_windows(samples: NDArray[np.float32], window_s: float, *, pack_s: float | None = None) -> list[Cut]:
    """Cut audio into windows of at most ``window_s``, between words where there is a pause.

    Audio that fits in one window stays whole and is not searched for speech; where it is shorter than 0.1 s, which no
    word is, there is no window. Longer audio is searched with Silero VAD;
    neighbouring stretches of speech share a window as long as they fit, and silence between windows is not encoded.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz.
        window_s: Longest window in seconds.
        pack_s: Longest window that several stretches may share; None is ``window_s``.

    Returns:
        Windows in order, without overlap; none where long audio holds no speech.
    """
    if samples.size < _LEAST:
        return []
    limit = int(window_s * SAMPLE_RATE)
    if samples.size <= limit:
        return [Cut(0, samples.size)]
    pack = limit if pack_s is None else min(limit, int(pack_s * SAMPLE_RATE))
    windows: list[Cut] = []
    begin = 0
    while begin < samples.size:
        piece = samples[begin : begin + _PIECE]
        speech = speech_spans(piece, window_s)
        found = [
            Cut(begin + start, begin + end, clip_spans(speech, start, end))
            for start, end in pack_spans(speech, limit, pack)
        ]
        begin += piece.size
        if begin < samples.size and found and found[-1].start > begin - piece.size:
            begin = found.pop().start  # the next piece begins with this window, which may go on
        windows += found
    return windows


def most_windows(audio_s: float, window_s: float, pack_s: float | None = None) -> int:
    """Return the most windows that :func:`split_windows` can make of a recording, whatever is in it.

    Two neighbours together are longer than what stretches of speech may share, or they would be one, and parts of a
    long stretch are at least half a window. Pieces that are searched apart overlap by a window at most.

    Args:
        audio_s: Seconds of audio, after time compression.
        window_s: As there.
        pack_s: As there.
    """
    if audio_s <= window_s:
        return 1
    pack_s = window_s if pack_s is None else min(window_s, pack_s)
    pieces = ceil(audio_s / (_PIECE / SAMPLE_RATE - window_s))
    return int(2 * (audio_s + pieces * window_s) / pack_s) + pieces


def speech_spans(samples: NDArray[np.float32], longest_s: float) -> list[Span]:
    """Find stretches of speech with Silero VAD (the ONNX model inside faster-whisper).

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz.
        longest_s: Speech without a pause is cut after this many seconds.

    Returns:
        Spans in samples, in order.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(max_speech_duration_s=longest_s, min_silence_duration_ms=250, speech_pad_ms=200)
    return [(int(span["start"]), int(span["end"])) for span in get_speech_timestamps(samples, options)]


def pack_spans(spans: list[Span], limit: int, pack: int) -> list[Span]:
    """Join neighbouring spans while the joint window, pauses included, is at most ``pack`` samples.

    A single span longer than ``limit`` samples is cut into equal parts, so no window passes the limit.
    """
    windows: list[Span] = []
    for start, end in spans:
        if windows and end - windows[-1][0] <= pack:
            windows[-1] = (windows[-1][0], end)
            continue
        parts = -(-(end - start) // limit)
        edges = [start + (end - start) * part // parts for part in range(parts + 1)]
        windows.extend(pairwise(edges))
    return windows


def clip_spans(spans: Iterable[Span], start: int, end: int) -> tuple[Span, ...]:
    """Return what lies of some spans between two samples, counted from the first of them."""
    return tuple((max(a, start) - start, min(b, end) - start) for a, b in spans if a < end and b > start)


def longest_pause(spans: Sequence[Span]) -> int | None:
    """Return the middle of the longest pause between spans in samples; None where there are fewer than two spans."""
    pauses = [(second[0] - first[1], (first[1] + second[0]) // 2) for first, second in pairwise(spans)]
    return max(pauses, key=lambda pause: pause[0])[1] if pauses else None
