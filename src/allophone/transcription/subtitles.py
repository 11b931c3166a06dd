"""Output formats of transcripts: text, JSON, SubRip and WebVTT."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

from allophone.records.transcript import Transcript, Word

__all__ = ["TranscriptFormat", "format_transcript", "transcript_dict"]

# Many recordings may have run at once, and their processor time cannot be told apart.
_PROCESSOR = ("cpu_s", "cut_cpu_s")
_INTERNALS = (
    *("tokens", "token_count", "token_logprobs", "token_entropies", "confidence_s", "rejected"),
    *("frames", "tail_tokens", "prompt_tokens"),
)

TranscriptFormat = Literal["text", "json", "srt", "vtt"]

# Subtitle practice (BBC and Netflix guides): two lines of 42 characters, at most about 7 s.
_CUE_CHARACTERS = 84
_CUE_S = 7.0
_SENTENCE_END = (".", "?", "!", "。", "？", "！")


def format_transcript(transcript: Transcript, style: TranscriptFormat) -> str:
    """Return a transcript in one of the formats.

    ``srt`` and ``vtt`` cut cues between words; a window whose words have no times is one cue. An empty transcript is an
    empty text, an empty SubRip file, or a WebVTT file with its header alone.
    """
    if style == "text":
        return transcript.text
    if style == "json":
        return json.dumps(transcript_dict(transcript), indent=1, ensure_ascii=False)
    if style == "vtt":
        blocks = [
            f"{_clock(start, '.')} --> {_clock(end, '.')}\n{_escaped(text)}" for start, end, text in _cues(transcript)
        ]
        return "\n\n".join(["WEBVTT", *blocks])
    return "\n\n".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}"
        for number, (start, end, text) in enumerate(_cues(transcript), start=1)
    )


def transcript_dict(transcript: Transcript, *, internals: bool = False) -> dict[str, Any]:
    """Return a transcript as plain data, with its point's id and its times in seconds.

    Args:
        transcript: The transcript.
        internals: Whether to keep what tells of decoding alone: tokens, their probabilities, frames, rejected passes.
    """
    fields = _for_people(asdict(transcript), _PROCESSOR if internals else {*_PROCESSOR, *_INTERNALS})
    fields["point"] = transcript.point.name
    for name in ("encode_s", "decode_s", "latency_s"):
        fields[name] = getattr(transcript, name)
    return fields


def _for_people(fields: dict[str, Any], dropped: Collection[str]) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if name not in dropped}
    if kept.get("rejected") is not None:
        kept["rejected"] = _for_people(kept["rejected"], dropped)
    if "segments" in kept:
        kept["segments"] = [_for_people(segment, dropped) for segment in kept["segments"]]
    if "words" in kept:
        kept["words"] = [{**word, "text": word["text"].strip()} for word in kept["words"]]
    return kept


def _cues(transcript: Transcript) -> Iterator[tuple[int, int, str]]:
    """Yield start and end in milliseconds and the text; every cue lasts, and none begins before the last has ended."""
    for segment in transcript.segments:
        if not segment.text:
            continue
        words = segment.words or (Word(segment.text, segment.start_s, segment.end_s, 1.0),)
        for cue in _grouped(words):
            start, end = _milliseconds(cue[0].start_s), _milliseconds(cue[-1].end_s)
            if start == end:  # words that the model heard at the very end of the window
                start = _milliseconds(segment.start_s)
            yield start, max(end, start + 1), _joined(cue)


def _grouped(words: Sequence[Word]) -> Iterator[list[Word]]:
    cue: list[Word] = []
    for word in words:
        full = cue and (
            len(_joined([*cue, word])) > _CUE_CHARACTERS
            or word.end_s - cue[0].start_s > _CUE_S
            or cue[-1].text.endswith(_SENTENCE_END)
        )
        # Several words can have one time; a cue must not be made of such words alone.
        if full and _milliseconds(cue[-1].end_s) > _milliseconds(cue[0].start_s) and word.end_s > word.start_s:
            yield cue
            cue = []
        cue.append(word)
    if cue:
        yield cue


def _joined(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words).strip()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _clock(milliseconds: int, decimal: str) -> str:
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{decimal}{rest % 1000:03d}"
