"""Decoding with what is done about passes that went wrong: silence, loops, and text that ends before the speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import log2

from allophone.audio.mel import TRAINED_FRAMES, context_frames
from allophone.audio.tail import thin_tail
from allophone.audio.windows import Span, clip_spans, longest_pause, speech_spans
from allophone.dimensions.whisper import SAMPLE_RATE, TRAINED_CONTEXT_S
from allophone.models.engine import Engine
from allophone.models.stopwatch import Stopwatch
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment
from allophone.transcription.repeats import MOST_REPEATS, Run, count_supported, cut_repeats, longest_run
from allophone.transcription.windows import (
    DecodeExtras,
    EncodedWindows,
    Window,
    align_words,
    decode_once,
    encode_windows,
)

__all__ = [
    "LEAST_AVG_LOGPROB",
    "LONG_S",
    "NEAR",
    "NEARLY_WHOLE",
    "SLOW_TOKENS_PER_SECOND",
    "decode_with_fallback",
    "failure_reason",
    "may_end_early",
    "pick_pass",
]

# Fast readers reach 5.2 text tokens per second; a short call of a few words needs some beyond its length.
_TOKENS_PER_SECOND = 5.5
_TOKENS_AT_LEAST = 5
# openai/whisper distrusts an average below this (its ``logprob_threshold``), and believes in silence above 0.6.
LEAST_AVG_LOGPROB = -1.0
_NO_SPEECH = 0.6
# Read speech has 2 to 5 text tokens per second; short calls and words with pauses between them have fewer.
SLOW_TOKENS_PER_SECOND = 2.2
LONG_S = 6.0


def failure_reason(segment: Segment) -> str | None:
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
    if segment.text and segment.avg_logprob < LEAST_AVG_LOGPROB:
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


def pick_pass(short: Segment, full_context_cache: Segment) -> Segment:
    """Return the pass to believe after a short one was turned down and the whole context was run.

    Full context fails too, most often on a second or two of hard speech, where it sees silence for 28 s. So it wins
    unless it gives reason for distrust itself; then the pass that stopped by itself wins, and of equals the likelier.

    Args:
        short: The pass that was turned down.
        full_context_cache: The same window at full context.
    """
    if failure_reason(full_context_cache) is None:
        return full_context_cache
    return max(full_context_cache, short, key=lambda passed: (not passed.truncated, passed.avg_logprob))


def largest_compression_ratio(n_bytes: int) -> float:
    """Return the largest compression ratio of plain English text of a length.

    openai/whisper's bound of 2.4 is for 30 s of speech. Short texts compress less, so a short loop stays below it:
    over prompts and read sentences of 15 to 1000 bytes, 999 of 1000 lie below ``0.65 + 0.155 log2(n)``.

    Args:
        n_bytes: Length of the text in UTF-8, at least 1.
    """
    return 0.65 + 0.155 * log2(n_bytes)


# Silence and noise have 0.2 to 0.99, speech seldom more than 0.1; whether anyone speaks is then asked of the VAD.
_NO_SPEECH_PROB = 0.4
# From 24 s on the full context is nearly the pass that went wrong already, and goes wrong again.
NEARLY_WHOLE = TRAINED_FRAMES * 4 // 5
_LEAST_LEFT = 2 * SAMPLE_RATE  # samples of speech behind the last word; less is mostly that word, said slowly
NEAR = SAMPLE_RATE  # a pause this near to the last word is where it ends
_LOOP_REASONS = ("text-token cap reached", "more text than can be said", "repetition")
_REPETITION_PENALTY = 1.2
_BEAMS = 5
_MOSTLY = 0.6  # of the repeats; then those that are not borne out are mostly said quickly
_LONGEST_WORD_S = 1.0  # the alignment stretches the last word over all that was left out


def decode_with_fallback(
    engine: Engine,
    windows: Sequence[Window],
    encoded: EncodedWindows,
    point: OperatingPoint,
    languages: Sequence[str],
    extras: DecodeExtras,
    full_context_cache: dict[int, EncodedWindows] | None = None,
) -> list[list[Segment]]:
    """Decode windows together, and mend what went wrong.

    A window without speech has no text: where the no-speech probability passes 0.4 or the guard's signs distrust the
    pass, the voice-activity detector is asked, and where it hears nobody the text is dropped. Where it hears speech
    and the point has a guard, a distrusted pass has the ways out of :meth:`_Place.run_again`. With a guard, a pass with
    little text for its length has its words looked up, and where speech is left behind the last one, that rest is a
    window of its own.

    Args:
        engine: A loaded model.
        windows: Those that were encoded.
        encoded: From :func:`encode_windows`.
        point: Tail, guard, stride and beams to decode with.
        languages: One code per window.
        extras: What else to read.
        full_context_cache: Keeps full contexts by the place of their window, so that several points share them.

    Returns:
        Each window's segments: one, or several where it was cut. Passes that did not stay hang on the one that did, as
        its ``rejected`` and so on.
    """
    passed = decode_once(engine, windows, encoded, point, languages, extras)
    heard: dict[int, Sequence[Span]] = {}
    for index, segment in enumerate(passed):
        silent = segment.no_speech_prob > _NO_SPEECH_PROB
        short = point.guard and may_end_early(segment, _speech_s(windows[index]))
        repeats = point.guard and longest_run(segment.text).count > MOST_REPEATS
        if silent or short or repeats or failure_reason(segment) is not None:
            passed[index], heard[index] = _search(windows[index], segment)
            if not heard[index]:
                passed[index] = replace(passed[index], text="", tokens=(), words=(), compression_ratio=0.0)
    found = [[segment] for segment in passed]
    if not point.guard:
        return found
    cache = {} if full_context_cache is None else full_context_cache
    for index, spans in heard.items():
        encode_whole = partial(_encode_whole, engine, windows[index], index, cache)
        place = _Place(engine, windows[index], point, languages[index], extras, spans, encode_whole)
        if spans and (_loops(passed[index]) or failure_reason(passed[index]) is not None):
            found[index] = place.run_again(passed[index], encoded.of_window(engine, index))
        elif may_end_early(passed[index], _speech_s(windows[index])):
            found[index] = place.decode_rest(passed[index], engine.row(encoded.output, index), spans)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """A window, and all that further passes over parts of it need."""

    engine: Engine
    window: Window
    point: OperatingPoint
    language: str
    extras: DecodeExtras
    spans: Sequence[Span]
    encode_whole: Callable[[], EncodedWindows]

    def run_again(self, passed: Segment, encoded: EncodedWindows) -> list[Segment]:
        """Go down the ladder from a pass that is not believed; its order was measured (docs/results/default_point.md).

        A phrase that the audio bears out more than four times in a row was said, and stays. A loop is decoded again
        over the encoder output that is there: behind the whole silence tail where the point has a thinner one, else
        with a repetition penalty. Where that loops too the window is run in two parts, cut at the longest pause, if
        its context was nearly full already, or else at full context with the penalty. Where every pass loops, the
        repeats that the audio does not bear out are cut from the best one. A pass that heard nothing is run at full
        context. Of a low log-probability neither a penalty nor full context nor sampling makes fewer errors, but five
        beams do make fewer than a smaller number.

        Args:
            passed: The pass.
            encoded: What it ran on.
        """
        if (said := self._as_said(passed, encoded)) is not None:
            return [said]
        if _loops(passed):
            return self._out_of_loop(passed, encoded)
        if passed.text:
            return [self._with_more_beams(passed, encoded)]
        if encoded.frames < TRAINED_FRAMES:
            whole = self._decode(self.encode_whole())
            return [_kept(pick_pass(passed, whole), [passed, whole])]
        return [passed]

    def _out_of_loop(self, passed: Segment, encoded: EncodedWindows) -> list[Segment]:
        if thin_tail(self.point.tail) and encoded.frames < TRAINED_FRAMES:
            again = self._decode(encoded, point=self.point.model_copy(update={"tail": "all"}))
        else:
            again = self._decode(encoded, repetition_penalty=_REPETITION_PENALTY)
        tried = [(passed, encoded), (again, encoded)]
        if _loops(again):
            pause = longest_pause(self.spans) if encoded.frames >= NEARLY_WHOLE else None
            if pause is not None:
                first, *others = self.in_parts(again, pause)
                return [_attach_rejected(first, passed), *others]
            if encoded.frames < TRAINED_FRAMES:
                whole = self.encode_whole()
                tried.append((self._decode(whole, repetition_penalty=_REPETITION_PENALTY), whole))
        best, over = min(tried, key=lambda one: (_loops(one[0]), one[0].truncated, -one[0].avg_logprob))
        kept = _kept(best, [one for one, _ in tried])
        if _loops(best):
            return [self._cut_loops(kept, over)]
        if may_end_early(kept, _speech_s(self.window)):
            return self.decode_rest(kept, over.output, self.spans)
        return [kept]

    def _decode(
        self,
        encoded: EncodedWindows,
        *,
        point: OperatingPoint | None = None,
        beam_size: int | None = None,
        repetition_penalty: float = 1.0,
    ) -> Segment:
        (segment,) = decode_once(
            self.engine,
            [self.window],
            encoded,
            point or self.point,
            [self.language],
            self.extras,
            beam_size=beam_size,
            repetition_penalty=repetition_penalty,
        )
        return segment

    def _with_more_beams(self, passed: Segment, encoded: EncodedWindows) -> Segment:
        if self.point.beam_size >= _BEAMS:
            return passed
        again = self._decode(encoded, beam_size=_BEAMS)
        better = again if not _loops(again) and again.avg_logprob > passed.avg_logprob else passed
        return _kept(better, [passed, again])

    def _as_said(self, passed: Segment, encoded: EncodedWindows) -> Segment | None:
        """Return the pass with the repeats that the audio bears out, if they are many; None where it is a loop."""
        run = longest_run(passed.text)
        if run.count <= MOST_REPEATS:
            return None
        supported, passed = self._supported(passed, encoded, run)
        if supported <= MOST_REPEATS:
            return None
        if supported >= _MOSTLY * run.count:
            return passed
        return cut_repeats(self.engine, passed, run, supported)

    def _cut_loops(self, passed: Segment, encoded: EncodedWindows) -> Segment:
        """Cut what the audio does not bear out, phrase by phrase; at most four repeats stay of each."""
        while (run := longest_run(passed.text)).count > MOST_REPEATS:
            supported, passed = self._supported(passed, encoded, run)
            passed = cut_repeats(self.engine, passed, run, min(supported, MOST_REPEATS))
        return passed

    def _supported(self, passed: Segment, encoded: EncodedWindows, run: Run) -> tuple[int, Segment]:
        """Return how many repeats the audio bears out, and the pass with the time that finding out took."""
        watch = Stopwatch()
        words = passed.words or align_words(
            self.engine, encoded.output, passed.tokens, self.point, self.language, self.window
        )
        return count_supported(run, words), passed.charged(*watch.lap())

    def in_parts(self, passed: Segment, pause: int) -> list[Segment]:
        """Run the window again in two parts; the pass that went wrong hangs on the first of their passes."""
        first, *others = [segment for part in self._cut(pause) for segment in self._run(part)]
        return [_attach_rejected(first, passed), *others]

    def decode_rest(self, passed: Segment, encoded: object, spans: Sequence[Span]) -> list[Segment]:
        """Run what lies behind the last word as a window of its own, where that is speech."""
        watch = Stopwatch()
        words = passed.words or align_words(self.engine, encoded, passed.tokens, self.point, self.language, self.window)
        passed = passed.charged(*watch.lap())
        if not words:
            return [passed]
        ended_s = min(words[-1].end_s, words[-1].start_s + _LONGEST_WORD_S)
        ended = round((ended_s - self.window.start_s) / self._sample_s)
        if sum(max(0, end - max(start, ended)) for start, end in spans) < _LEAST_LEFT:
            return [passed]
        pauses = [(before[1] + after[0]) // 2 for before, after in pairwise(spans)]
        cut = min((at for at in pauses if abs(at - ended) < NEAR), key=lambda at: abs(at - ended), default=ended)
        if cut < NEAR // 2:  # nothing of the window was told, so the rest would be the same again
            return [passed]
        head, rest = self._cut(cut)
        return [replace(passed, end_s=head.end_s), *self._run(rest)]

    def _run(self, part: Window) -> list[Segment]:
        encoded = encode_windows(self.engine, [part], context_frames(part.audio.size, self.point))
        encoded = replace(encoded, encode_s=encoded.encode_s + encoded.prepare_s)
        return decode_with_fallback(self.engine, [part], encoded, self.point, [self.language], self.extras)[0]

    def _cut(self, sample: int) -> list[Window]:
        window, size = self.window, self.window.audio.size
        middle_s = window.start_s + sample * self._sample_s
        edges = ((0, sample, window.start_s, middle_s), (sample, size, middle_s, window.end_s))
        return [
            Window(
                window.audio[start:end],
                start_s,
                end_s,
                None if window.speech is None else clip_spans(window.speech, start, end),
            )
            for start, end, start_s, end_s in edges
        ]

    @property
    def _sample_s(self) -> float:
        return (self.window.end_s - self.window.start_s) / self.window.audio.size  # time compression included


def _speech_s(window: Window) -> float | None:
    if window.speech is None:
        return None
    sample_s = (window.end_s - window.start_s) / window.audio.size
    return sample_s * sum(end - start for start, end in window.speech)


def _search(window: Window, segment: Segment) -> tuple[Segment, Sequence[Span]]:
    """Return the segment with the time that the search took, and where the window holds speech."""
    if window.speech is not None:
        return segment, window.speech
    watch = Stopwatch()
    spans = speech_spans(window.audio, TRAINED_CONTEXT_S)
    return segment.charged(*watch.lap()), spans


def _attach_rejected(segment: Segment, passed: Segment) -> Segment:
    """Add a pass that was turned down before all those that the segment carries already."""
    before = passed if segment.rejected is None else _attach_rejected(segment.rejected, passed)
    return replace(segment, rejected=before)


def _encode_whole(
    engine: Engine, window: Window, index: int, full_context_cache: dict[int, EncodedWindows]
) -> EncodedWindows:
    if index not in full_context_cache:
        encoded = encode_windows(engine, [window], TRAINED_FRAMES)
        full_context_cache[index] = replace(encoded, encode_s=encoded.encode_s + encoded.prepare_s)
    return full_context_cache[index]  # charged in full to every point that needs it


def _loops(segment: Segment) -> bool:
    """Whether a pass says the same again and again, or more than its audio has room for."""
    return failure_reason(segment) in _LOOP_REASONS or longest_run(segment.text).count > MOST_REPEATS


def _kept(segment: Segment, tried: Sequence[Segment]) -> Segment:
    """Hang all other passes on the one that stays, the first of them to be read first."""
    for other in reversed([one for one in tried if one is not segment]):
        segment = _attach_rejected(segment, other)
    return segment
