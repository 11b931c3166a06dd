"""Transcripts in the bodies that OpenAI's API answers with."""

from __future__ import annotations

import json
from typing import Any

from allophone.records.transcript import Segment, Transcript
from allophone.serve.cost import RequestCost
from allophone.serve.fields import AskedFor
from allophone.serve.languages import language_name
from allophone.transcription.subtitles import format_transcript

__all__ = ["delta_event", "done_event", "error_event", "reply_body"]

EXTENSION = "allophone"
_MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}


def reply_body(asked: AskedFor, transcript: Transcript, cost: RequestCost) -> tuple[str, str]:
    """Return a reply's body and media type.

    JSON replies hold the cost under ``allophone``. A verbose reply has a segment for every window, which is what the
    model decoded at once, and words where they were asked for.

    Args:
        asked: Format and granularities.
        transcript: What was heard.
        cost: What it took.
    """
    if asked.reply in _MEDIA_TYPES:
        body = format_transcript(transcript, asked.reply)  # type: ignore[arg-type]
        return (body + "\n" if body else body), f"{_MEDIA_TYPES[asked.reply]}; charset=utf-8"
    usage = {"type": "duration", "seconds": round(transcript.duration_s, 3)}
    fields: dict[str, Any] = {"text": transcript.text, "usage": usage}
    if asked.reply == "verbose_json":
        fields = {
            "task": asked.task,
            "language": "english" if asked.task == "translate" else language_name(transcript.language),
            "duration": round(transcript.duration_s, 3),
            **fields,
        }
        if "segment" in asked.granularities:
            fields["segments"] = [_segment(number, one) for number, one in enumerate(_told(transcript))]
        if "word" in asked.granularities:
            fields["words"] = [
                {"word": word.text.strip(), "start": round(word.start_s, 3), "end": round(word.end_s, 3)}
                for segment in _told(transcript)
                for word in segment.words
            ]
    fields[EXTENSION] = cost.as_dict()
    return json.dumps(fields, ensure_ascii=False), "application/json"


def delta_event(text: str) -> str:
    """Return a part of the text as a server-sent event; the parts joined are the text."""
    return _event({"type": "transcript.text.delta", "delta": text})


def done_event(transcript: Transcript, cost: RequestCost) -> str:
    """Return the event that ends a stream: all of the text, tokens used, and the cost."""
    generated = sum(part.token_count for part in transcript.segments)
    prompt = transcript.prompt_tokens * len(transcript.segments)
    heard = cost.positions_used
    return _event(
        {
            "type": "transcript.text.done",
            "text": transcript.text,
            "usage": {
                "type": "tokens",
                "input_tokens": heard + prompt,
                "input_token_details": {"audio_tokens": heard, "text_tokens": prompt},
                "output_tokens": generated,
                "total_tokens": heard + prompt + generated,
            },
            EXTENSION: cost.as_dict(),
        }
    )


def error_event(body: dict[str, Any]) -> str:
    """Return an error that came up after the stream had begun."""
    return _event(body)


def _event(fields: dict[str, Any]) -> str:
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n"


def _told(transcript: Transcript) -> list[Segment]:
    return [segment for segment in transcript.segments if segment.text]


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    return {
        "id": number,
        "seek": round(segment.start_s * 100),  # log-mel frames, as openai/whisper counts them
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": 0.0,
        "avg_logprob": segment.avg_logprob,
        "compression_ratio": segment.compression_ratio,
        "no_speech_prob": segment.no_speech_prob,
    }
