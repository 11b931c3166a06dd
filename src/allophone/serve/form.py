"""The body of an upload: multipart, counted while it is read, kept in memory and never under a client's file name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, BinaryIO

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from allophone.serve.api_error import ApiError, bad_request, draining, no_room, too_large
from allophone.serve.settings import ServeSettings

__all__ = ["Form", "HeldBytes", "read_form"]

_MOST_FIELDS = 64
_LONGEST_FIELD = 64 * 1024


class HeldBytes:
    """Bytes of all uploads that are in memory, of which there may be so many.

    Args:
        most: So many.
    """

    def __init__(self, most: int) -> None:
        self._most, self.bytes = most, 0

    def take(self, size: int) -> None:
        """Hold more.

        Raises:
            ApiError: 429 where there is no room.
        """
        if self.bytes + size > self._most:
            raise no_room(f"uploads of {self.bytes} bytes are in memory, and at most {self._most} may be.", 1.0)
        self.bytes += size

    def give_back(self, size: int) -> None:
        """Hold less."""
        self.bytes -= size


@dataclass(frozen=True, slots=True)
class Form:
    """What an upload held.

    Args:
        file: The file's bytes, open for reading; None where the form has none.
        fields: The other fields in order, names as sent.
        size: Bytes of the whole body, which are held until it is closed.
        held: Where they are held.
    """

    file: BinaryIO | None
    fields: tuple[tuple[str, str], ...]
    size: int
    held: HeldBytes

    def close(self) -> None:
        """Give the file's memory back."""
        if self.file is not None:
            self.file.close()
        self.held.give_back(self.size)


class _InMemory(MultiPartParser):
    """Starlette's parser with its spool kept from the disk; the bytes are counted before they reach it."""

    spool_max_size = 1 << 62

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.begun: list[UploadFile] = []  # those that end are among the items too

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is not None:
            self.begun.append(self._current_part.file)


async def read_form(request: Request, settings: ServeSettings, held: HeldBytes, stopping: Callable[[], bool]) -> Form:
    """Read a request's body.

    Args:
        request: Of which nothing has been read.
        settings: Limits of one upload.
        held: The limit of all.
        stopping: Whether the server is about to stop: it then waits for an upload no longer than for a pause.

    Raises:
        ApiError: 413 where it is larger than allowed, 408 where it stops coming or comes too slowly, 400 where it is no
            multipart form, has two files, or the file under another name than ``file``, 429 where memory is full of
            other uploads, 503 where the server stops before it has come.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > settings.max_upload_bytes:
        raise _too_many_bytes(settings)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        raise bad_request(
            None, "the body is no multipart form. Send 'file' and 'model' as multipart/form-data.", "invalid_body"
        )
    counter = _Counter(request, settings, held, stopping)
    try:
        return await _parsed(request, counter)
    except BaseException:  # a client that goes away among them
        held.give_back(counter.size)
        raise


async def _parsed(request: Request, counter: _Counter) -> Form:
    parser = _InMemory(
        request.headers, counter.stream(), max_files=2, max_fields=_MOST_FIELDS, max_part_size=_LONGEST_FIELD
    )
    try:
        items = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise bad_request(
            None, f"the body is no multipart form that can be read: {error.message}", "invalid_body"
        ) from None
    except (UnicodeError, ValueError, LookupError) as error:  # headers of a part that no client writes
        raise bad_request(None, f"the body is no multipart form that can be read: {error}", "invalid_body") from None
    files = [(name, value) for name, value in items if isinstance(value, UploadFile)]
    fields = tuple((name, value) for name, value in items if isinstance(value, str))
    if len(files) != 1 or len(parser.begun) != 1 or files[0][0] != "file":
        for begun in parser.begun:
            begun.file.close()
    if len(parser.begun) > len(files):
        raise bad_request("file", "the form ends within a file. Send it again.", "invalid_body")
    if wrong := [name for name, _ in files if name != "file"]:
        raise bad_request(wrong[0], f"a file in the field '{wrong[0]}': send it as 'file'.", "unknown_parameter")
    if len(files) > 1:
        raise bad_request("file", "two files in one request: send one a request.")
    return Form(files[0][1].file if files else None, fields, counter.size, counter.held)


class _Counter:
    """The body's chunks, counted; no more is taken than is allowed, and not from who stops sending or dribbles."""

    def __init__(
        self, request: Request, settings: ServeSettings, held: HeldBytes, stopping: Callable[[], bool]
    ) -> None:
        self._request, self._settings, self.held, self.size = request, settings, held, 0
        self._stopping, self._deadline = stopping, monotonic() + settings.max_upload_s
        self._told_to_stop = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        chunks = aiter(self._request.stream())
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), min(self._settings.max_pause_s, self._left_s()))
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError:  # of its own until Python 3.11
                raise self._too_slow() from None
            if self.size + len(chunk) > self._settings.max_upload_bytes:
                raise _too_many_bytes(self._settings)
            self.held.take(len(chunk))
            self.size += len(chunk)
            yield chunk

    def _left_s(self) -> float:
        if self._stopping() and not self._told_to_stop:
            self._told_to_stop = True
            self._deadline = min(self._deadline, monotonic() + self._settings.max_pause_s)
        return max(0.0, self._deadline - monotonic())

    def _too_slow(self) -> ApiError:
        if self._left_s() > 0:
            told = f"the upload stopped for {self._settings.max_pause_s:g} s. Send it again."
        elif self._told_to_stop:
            return draining()
        else:
            told = f"the upload took over {self._settings.max_upload_s:g} s. Send a compressed format, or parts."
        return ApiError(408, told, code="upload_timeout", headers={"Connection": "close"})  # or its rest would be read


def _too_many_bytes(settings: ServeSettings) -> ApiError:
    return too_large(
        f"the request has over {settings.max_upload_bytes} bytes, the most that this server reads. Send a compressed "
        "format, or parts.",
        "request_too_large",
    )
