"""Passes that went wrong, mended: no text without speech, and a second pass where the guard distrusts the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from allophone.audio.mel import TRAINED_FRAMES
from allophone.audio.windows import longest_pause, speech_spans
from allophone.dimensions import TRAINED_CONTEXT_S
from allophone.models.engine import Engine
from allophone.models.guard import better_pass, distrust
from allophone.models.passes import EncodedWindows, Reading, Window, decode_pass, encode_windows
from allophone.records import OperatingPoint, Segment

__all__ = ["decode_windows"]

# Silence and noise have 0.2 to 0.99, speech seldom more than 0.1; whether anyone speaks is then asked of the VAD.
_NO_SPEECH_PROB = 0.4
# From 24 s on the full context is nearly the pass that went wrong already, and goes wrong again.
_NEARLY_WHOLE = TRAINED_FRAMES * 4 // 5


def decode_windows(
    engine: Engine,
    windows: Sequence[Window],
    encoded: EncodedWindows,
    point: OperatingPoint,
    languages: Sequence[str],
    reading: Reading,
    whole: dict[tuple[int, ...], EncodedWindows] | None = None,
) -> list[list[Segment]]:
    """Decode windows together, and mend what went wrong.

    A window without speech has no text: where the no-speech probability passes 0.4 or the guard's signs distrust the
    pass, the voice-activity detector is asked, and where it hears nobody the text is dropped. Where it hears speech
    and the point has a guard, a distrusted pass is run again: at full context, or, where its context was nearly full
    already because several utterances were packed into it, in parts cut at the longest pause.

    Args:
        engine: A loaded model.
        windows: Those that were encoded.
        encoded: From :func:`encode_windows`.
        point: Tail, guard, stride and beams to decode with.
        languages: One code a window.
        reading: What else to read.
        whole: Keeps full contexts by the windows they hold, so that several points share them.

    Returns:
        Each window's segments: one, or several where it was cut. Of two passes the one that did not stay is the other's
        ``rejected``.
    """
    passed = decode_pass(engine, windows, encoded, point, languages, reading)
    heard: dict[int, list[tuple[int, int]]] = {}
    for index, segment in enumerate(passed):
        if segment.no_speech_prob > _NO_SPEECH_PROB or distrust(segment) is not None:
            passed[index], heard[index] = _search(windows[index], segment)
            if not heard[index]:
                passed[index] = replace(passed[index], text="", tokens=(), words=(), compression_ratio=0.0)
    found = [[segment] for segment in passed]
    wrong = [index for index, spans in heard.items() if point.guard and spans and distrust(passed[index]) is not None]
    cuts: dict[int, int] = {}
    if encoded.frames >= _NEARLY_WHOLE:
        pauses = {index: longest_pause(heard[index]) for index in wrong}
        cuts = {index: pause for index, pause in pauses.items() if pause is not None}
    for index, pause in cuts.items():
        found[index] = _in_parts(engine, windows[index], passed[index], pause, point, languages[index], reading)
    again = [index for index in wrong if index not in cuts] if encoded.frames < TRAINED_FRAMES else []
    if again:
        kept, spoken = [windows[index] for index in again], [languages[index] for index in again]
        full = _encode_whole(engine, kept, tuple(again), {} if whole is None else whole)
        for index, segment in zip(again, decode_pass(engine, kept, full, point, spoken, reading), strict=True):
            better = better_pass(passed[index], segment)
            other = passed[index] if better is segment else segment
            found[index] = [replace(better, rejected=other)]
    return found


def _search(window: Window, segment: Segment) -> tuple[Segment, list[tuple[int, int]]]:
    """Return where the window holds speech, and the segment with the time that took."""
    started = perf_counter()
    spans = speech_spans(window.audio, TRAINED_CONTEXT_S)
    return replace(segment, decode_s=segment.decode_s + perf_counter() - started), spans


def _in_parts(
    engine: Engine, window: Window, passed: Segment, pause: int, point: OperatingPoint, language: str, reading: Reading
) -> list[Segment]:
    """Run a window again in two parts at full context, and each part that goes wrong in parts of its own."""
    parts = _cut(window, pause)
    found: list[Segment] = []
    for part, decoded in zip(
        parts,
        decode_pass(engine, parts, _encode_whole(engine, parts, (), {}), point, [language] * 2, reading),
        strict=True,
    ):
        segment, cut = decoded, None
        if distrust(segment) is not None:
            segment, spans = _search(part, segment)
            cut = longest_pause(spans)
        found += [segment] if cut is None else _in_parts(engine, part, segment, cut, point, language, reading)
    # Every cut makes one segment more and turns one pass down, so there is one left to carry it.
    free = next(index for index, segment in enumerate(found) if segment.rejected is None)
    found[free] = replace(found[free], rejected=passed)
    return found


def _encode_whole(
    engine: Engine,
    windows: Sequence[Window],
    rows: tuple[int, ...],
    whole: dict[tuple[int, ...], EncodedWindows],
) -> EncodedWindows:
    if rows not in whole:
        encoded = encode_windows(engine, windows, TRAINED_FRAMES)
        whole[rows] = replace(encoded, encode_s=encoded.encode_s + encoded.prepare_s)
    return whole[rows]  # charged in full to every point that needs it


def _cut(window: Window, sample: int) -> list[Window]:
    audio, second_s = window.audio, (window.end_s - window.start_s) / window.audio.size
    middle_s = window.start_s + sample * second_s
    return [Window(audio[:sample], window.start_s, middle_s), Window(audio[sample:], middle_s, window.end_s)]
