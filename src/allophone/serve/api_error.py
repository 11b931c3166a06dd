"""Errors as OpenAI's API answers them: a status, and a body with the four keys that clients read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ApiError", "bad_request", "draining", "inference_failed", "no_room", "too_large"]

_NO_RETRY = {"x-should-retry": "false"}
# The client of OpenAI retries after at most this many seconds; told to wait longer it gives up.
_LONGEST_RETRY_S = 120


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What is wrong and what to do about it.
        kind: The body's ``type``.
        param: The field at fault, or None.
        code: A word for programs.
        headers: Sent beside the body.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code = status, message, kind, param, code
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the body: ``error`` with ``message``, ``type``, ``param`` and ``code``."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def bad_request(param: str | None, message: str, code: str = "invalid_value") -> ApiError:
    """Return a 400 that names a field."""
    return ApiError(400, message, param=param, code=code)


def too_large(message: str, code: str) -> ApiError:
    """Return a 413: too many bytes, or too many seconds of audio."""
    return ApiError(413, message, param="file", code=code, headers=_NO_RETRY)


def no_room(message: str, retry_s: float) -> ApiError:
    """Return a 429 that says when to come again.

    Args:
        message: What is full.
        retry_s: Seconds until there is room, as far as can be told.
    """
    wait = str(min(_LONGEST_RETRY_S, max(1, round(retry_s + 0.5))))
    return ApiError(429, message, kind="rate_limit_error", code="no_room", headers={"Retry-After": wait})


def draining() -> ApiError:
    """Return a 503: the server is about to stop and takes no new work."""
    return ApiError(
        503,
        "the server is stopping and takes no new work. Send the request to another one.",
        kind="server_error",
        code="draining",
        headers={"Retry-After": "5"},
    )


def inference_failed(message: str) -> ApiError:
    """Return a 500 that will be the same the next time, so that clients do not send the work again."""
    return ApiError(500, message, kind="server_error", code="transcription_failed", headers=_NO_RETRY)
