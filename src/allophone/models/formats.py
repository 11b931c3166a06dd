"""Transcripts as text, JSON, SubRip and WebVTT."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

from allophone.records import Transcript, Word

__all__ = ["TranscriptFormat", "format_transcript", "transcript_dict"]

TranscriptFormat = Literal["text", "json", "srt", "vtt"]

# Subtitle practice (BBC and Netflix guides): two lines of 42 characters, at most about 7 s.
_CUE_CHARACTERS = 84
_CUE_S = 7.0
_SENTENCE_END = (".", "?", "!", "。", "？", "！")


def format_transcript(transcript: Transcript, style: TranscriptFormat) -> str:
    """Return a transcript in one of the formats; ``srt`` and ``vtt`` need the words' times.

    An empty transcript is an empty text, an empty SubRip file, or a WebVTT file with its header alone.
    """
    if style == "text":
        return transcript.text
    if style == "json":
        return json.dumps(transcript_dict(transcript), indent=1, ensure_ascii=False)
    cues = list(_cues(transcript))
    if style == "vtt":
        blocks = [
            f"{_clock(words[0].start_s, '.')} --> {_clock(words[-1].end_s, '.')}\n{_joined(words)}" for words in cues
        ]
        return "\n\n".join(["WEBVTT", *blocks])
    return "\n\n".join(
        f"{number}\n{_clock(words[0].start_s, ',')} --> {_clock(words[-1].end_s, ',')}\n{_joined(words)}"
        for number, words in enumerate(cues, start=1)
    )


def transcript_dict(transcript: Transcript) -> dict[str, Any]:
    """Return a transcript as plain data, with its point's name and its times in seconds."""
    fields = asdict(transcript)
    fields["point"] = transcript.point.name
    for name in ("encode_s", "decode_s", "latency_s"):
        fields[name] = getattr(transcript, name)
    return fields


def _cues(transcript: Transcript) -> Iterator[list[Word]]:
    for segment in transcript.segments:
        cue: list[Word] = []
        for word in segment.words:
            too_long = cue and (
                len(_joined(cue)) + 1 + len(word.text) > _CUE_CHARACTERS or word.end_s - cue[0].start_s > _CUE_S
            )
            if too_long or (cue and cue[-1].text.endswith(_SENTENCE_END)):
                yield cue
                cue = []
            cue.append(word)
        if cue:
            yield cue


def _joined(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def _clock(seconds: float, decimal: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{decimal}{rest % 1000:03d}"
