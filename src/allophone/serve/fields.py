"""The fields of a transcription request: everything known is honoured or refused by name, nothing is ignored."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from allophone.models.engine import Task
from allophone.serve.api_error import bad_request
from allophone.serve.languages import language_code

__all__ = ["AskedFor", "ReplyFormat", "read_fields"]

ReplyFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
_FORMATS = get_args(ReplyFormat)
_GRANULARITIES = ("segment", "word")
_OF_TRANSCRIPTS = ("language", "stream")  # which OpenAI's translations have not
_LISTS = ("timestamp_granularities", "include")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False, "null": False, "": False}
# Known to OpenAI's API, and not done here: a value is refused, an absent or empty one is not.
_REFUSED = {
    "keywords": "the decoder is not given keywords here",
    "include": "log-probabilities of tokens are not returned",
    "known_speaker_names": "speakers are not told apart",
    "known_speaker_references": "speakers are not told apart",
    "languages": "one language can be named, as 'language'",
}


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What a request asks for beside its file.

    Args:
        model: Name of the model as sent.
        task: ``transcribe`` or ``translate``, by the endpoint.
        prompt: Text that is taken for what was said before.
        language: Whisper's code; None where the client names none.
        reply: Format of the reply.
        granularities: Of a verbose reply: ``segment``, ``word`` or both.
        stream: Whether the text comes in server-sent events.
    """

    model: str
    task: Task = "transcribe"
    prompt: str = ""
    language: str | None = None
    reply: ReplyFormat = "json"
    granularities: frozenset[str] = frozenset({"segment"})
    stream: bool = False

    @property
    def words(self) -> bool:
        """Whether words' places are needed: to return them, or to cut subtitles between them."""
        if self.task == "translate":  # words of a translation have no place in the sound
            return False
        return self.reply in ("srt", "vtt") or (self.reply == "verbose_json" and "word" in self.granularities)


def read_fields(fields: Sequence[tuple[str, str]], task: Task = "transcribe") -> AskedFor:
    """Read a form's fields.

    Lists are accepted with and without brackets behind their name, and as a JSON list.

    Args:
        fields: Names and values as sent.
        task: By the endpoint.

    Raises:
        ApiError: 400 that names the field: it is unknown, given twice, of an impossible value, or not supported.
    """
    single: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for sent, value in fields:
        name = sent.partition("[")[0]
        if name in _LISTS or name in _REFUSED:
            lists.setdefault(name, []).extend(_listed(value))
        elif name == "chunking_strategy":
            _check_chunking(sent, value)
        elif sent == "file":
            raise bad_request("file", "the field 'file' is text: send the recording in it, with a file name.")
        elif sent not in _READERS or (task == "translate" and sent in _OF_TRANSCRIPTS):
            known = ", ".join(sorted({"file", "model", "chunking_strategy", *_READERS, *_LISTS}))
            raise bad_request(sent, f"unknown field '{sent}': there are {known}.", "unknown_parameter")
        elif name in single:
            raise bad_request(sent, f"the field '{sent}' stands twice.")
        else:
            single[name] = value
    for name, reason in _REFUSED.items():
        if lists.get(name):
            raise bad_request(name, f"'{name}' is not supported: {reason}. Leave it out.", "unsupported_parameter")
    read = {name: _READERS[name](value) for name, value in single.items()}
    asked = AskedFor(
        model=cast("str", read.get("model", "")),
        task=task,
        prompt=cast("str", read.get("prompt", "")),
        language=cast("str | None", read.get("language")),
        reply=cast("ReplyFormat", read.get("response_format", "json")),
        granularities=frozenset(lists.get("timestamp_granularities", ())) or frozenset({"segment"}),
        stream=bool(read.get("stream", False)),
    )
    _check_together(asked, lists)
    return asked


def _check_together(asked: AskedFor, lists: dict[str, list[str]]) -> None:
    if not asked.model:
        raise bad_request(
            "model", "the field 'model' is missing. GET /v1/models lists what is served.", "missing_field"
        )
    if unknown := asked.granularities - set(_GRANULARITIES):
        name = sorted(unknown)[0]
        raise bad_request(
            "timestamp_granularities", f"timestamp_granularities '{name}': write {' or '.join(_GRANULARITIES)}."
        )
    if lists.get("timestamp_granularities") and asked.reply != "verbose_json":
        raise bad_request(
            "timestamp_granularities", "timestamp_granularities go with response_format=verbose_json only."
        )
    if asked.stream and asked.reply not in ("json", "text"):
        raise bad_request(
            "stream", f"stream=true gives text in events; response_format={asked.reply} cannot be streamed. Use json."
        )


def _listed(value: str) -> list[str]:
    if value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):  # brackets a thousand deep
            return [value]
        if isinstance(found, list):
            return [str(one) for one in found]
    return [value] if value else []


def _check_chunking(sent: str, value: str) -> None:
    """Long audio is always cut at silences: ``auto`` asks for what happens anyway."""
    if sent != "chunking_strategy" or value not in ("auto", '"auto"', "", "null"):
        raise bad_request(
            "chunking_strategy",
            "chunking_strategy is 'auto' here: recordings are cut at silences as the operating point was measured.",
            "unsupported_parameter",
        )


def _language(value: str) -> str | None:
    if not value:
        return None
    code = language_code(value)
    if code is None:
        raise bad_request("language", f"language '{value[:40]}': write a code such as en or de, or a name as english.")
    return code


def _reply(value: str) -> str:
    if value == "diarized_json":
        raise bad_request(
            "response_format",
            "response_format 'diarized_json' is not supported: speakers are not told apart.",
            "unsupported_parameter",
        )
    if value not in _FORMATS:
        raise bad_request("response_format", f"response_format '{value[:40]}': write one of {', '.join(_FORMATS)}.")
    return value


def _stream(value: str) -> bool:
    if value.lower() not in _TRUTHS:
        raise bad_request("stream", f"stream '{value[:40]}': write true or false.")
    return _TRUTHS[value.lower()]


def _temperature(value: str) -> float:
    try:
        found = float(value or 0)
    except ValueError:
        raise bad_request("temperature", f"temperature '{value[:40]}': write a number from 0 to 1.") from None
    if not 0 <= found <= 1:
        raise bad_request("temperature", f"temperature {value[:40]}: write a number from 0 to 1.")
    if found > 0:
        raise bad_request(
            "temperature",
            f"temperature {found:g} is not supported: the decoder does not draw at random. Use 0, or leave it out.",
            "unsupported_parameter",
        )
    return found


_READERS: dict[str, Callable[[str], object]] = {
    "model": str,
    "prompt": str,
    "language": _language,
    "response_format": _reply,
    "stream": _stream,
    "temperature": _temperature,
}
