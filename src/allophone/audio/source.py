"""Input of FFmpeg: files, parts of files and pipes, judged by their bytes first."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from allophone.audio.asf_header import asf_missing_bytes
from allophone.audio.faults import reason_of
from allophone.audio.joined_files import joined_parts
from allophone.audio.ogg_pages import check_pages
from allophone.audio.wav_chunks import wav_layout
from allophone.errors import AudioError

__all__ = ["IN_MEMORY_NAME", "Source", "open_source"]

IN_MEMORY_NAME = "file"
_IN_MEMORY = 64 << 20  # of a pipe; what is longer goes into a temporary file
_PIPE_BYTES_PER_S = 384_000  # two channels of 32 bits at 48 kHz: more than any speech needs
_BLOCK = 1 << 20
_DAMAGED_SHARE = 0.1  # of an Ogg file's pages


@dataclass(frozen=True, slots=True)
class Source:
    """A recording to decode.

    Args:
        name: As messages call it.
        size: Its bytes.
        targets: What PyAV opens, one after another: an address, or a file open for reading.
        options: FFmpeg's options of the format.
        notices: What is odd about it and was dealt with.
        reopens: Whether the targets can be opened more than once at a time.
        from_zero: Whether time stamps count from zero, though the first is another: what came before is damaged.
    """

    name: str
    size: int
    targets: tuple[str | Any, ...]
    options: dict[str, str]
    notices: tuple[str, ...]
    reopens: bool
    from_zero: bool


@contextmanager
def open_source(path: Path | BinaryIO, *, longest_s: float, pipes: bool, whole: bool) -> Iterator[Source]:
    """Open a recording for FFmpeg; a pipe is read to its end first.

    Args:
        path: A file, a pipe, or bytes of a stranger's in memory, open for reading; messages call these ``file``.
        longest_s: Seconds of audio that are wanted at most; bounds what is read from a pipe.
        pipes: Whether a pipe may be read: that can be done once only, and may wait for who writes.
        whole: Whether all of it will be decoded; then checksums are worth reading all of it.

    Raises:
        AudioError: It is missing, empty, cannot be read, is neither a file nor a pipe, or ends before its end.
    """
    if not isinstance(path, Path):
        yield _judged(IN_MEMORY_NAME, path, path, whole=whole, protocols="none")
        return
    name = str(path)
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise AudioError(f"{name}: no such file. Check the path.") from None
    except ValueError:  # a NUL in it
        raise AudioError(f"{name!r}: no such file. Check the path.") from None
    except OSError as error:
        raise AudioError(f"{name}: cannot be read ({reason_of(error)}). Check the path.") from None
    if kind == stat.S_IFDIR:
        raise AudioError(f"{name}: is a folder. Name a recording in it.")
    try:
        if kind == stat.S_IFREG:
            with path.open("rb") as file:
                # FFmpeg takes what stands before a colon for a protocol, and this prefix for that of files.
                yield _judged(name, file, f"file:{path}", whole=whole)
        elif kind == stat.S_IFIFO and pipes:
            with _spooled(path, longest_s) as spooled:
                yield _judged(name, spooled, spooled, whole=whole)
        elif kind == stat.S_IFIFO:
            raise AudioError(f"{name}: is a pipe, which can be read once only. Save it as a file first.")
        else:
            terminal = kind == stat.S_IFCHR and os.isatty(0) and path.resolve() == Path("/dev/stdin").resolve()
            what = "a terminal" if terminal else "neither a file nor a pipe"
            raise AudioError(f"{name}: is {what}. Give a recording, or pipe one in.")
    except OSError as error:
        if type(error).__module__ != "builtins":  # FFmpeg's own, raised while the source was open
            raise
        raise AudioError(f"{name}: cannot be read ({reason_of(error)}). Check the path.") from None


@contextmanager
def _spooled(path: Path, longest_s: float) -> Iterator[BinaryIO]:
    left = int(longest_s * _PIPE_BYTES_PER_S)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spooled, path.open("rb") as pipe:
        while block := pipe.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise AudioError(f"{path}: the pipe goes on after {longest_s:g} s worth of audio. Save it as a file.")
            spooled.write(block)
        yield cast("BinaryIO", spooled)


def _judged(name: str, file: BinaryIO, target: Any, *, whole: bool, protocols: str = "file") -> Source:
    # A playlist names other files: FFmpeg opens them where the protocol is allowed, and "none" is the name of none.
    size = file.seek(0, os.SEEK_END)
    size = file.tell() if size is None else size  # a spooled file of Python 3.10 returns None
    if size == 0:
        raise AudioError(f"{name}: the file is empty (0 bytes). Record or copy it again.")
    targets: tuple[Any, ...] = (target,)
    options, notices = {"protocol_whitelist": protocols}, []
    wav = wav_layout(file, size)
    missing = wav.missing if wav is not None else asf_missing_bytes(file, size)
    parts = joined_parts(file, size) if wav is None else wav.parts
    if len(parts) > 1:
        targets = tuple(_Part(file, begin, end) for begin, end in parts)
        notices.append(f"holds {len(parts)} files joined end to end; all of them are read")
    if wav is not None and wav.decode_rest:
        options["ignore_length"] = "1"
        if wav.n_stated:
            notices.append(f"the header states {wav.n_stated} bytes of sound and more follow; all are read")
    if wav is not None and wav.contradiction:
        notices.append(f"the header contradicts itself ({wav.contradiction}); its rate may be wrong")
    pages = check_pages(file, size) if whole else None
    if pages is not None:
        missing = pages.missing
        if pages.n_damaged > _DAMAGED_SHARE * pages.n_pages:
            raise AudioError(f"{name}: damaged: {pages.n_damaged} of {pages.n_pages} pages are. Copy it again.")
        if pages.n_damaged:
            end = ", the last one too, so its end may be lost" if pages.last_damaged else ""
            notices.append(f"{pages.n_damaged} of {pages.n_pages} pages are damaged and were skipped{end}")
    if missing:
        raise AudioError(f"{name}: truncated: at least {missing} bytes are missing at its end. Copy it again.")
    file.seek(0)
    return Source(
        name=name,
        size=size,
        targets=targets,
        options=options,
        notices=tuple(notices),
        reopens=target is not file and len(targets) == 1,
        from_zero=pages is not None and pages.n_damaged > 0,
    )


class _Part:
    """Some bytes of an open file, as a file."""

    def __init__(self, file: IO[bytes], begin: int, end: int) -> None:
        self._file, self._begin, self._end, self._place = file, begin, end, begin

    def read(self, n: int = -1) -> bytes:
        left = self._end - self._place
        self._file.seek(self._place)
        found = self._file.read(left if n < 0 else min(n, left))
        self._place += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        self._place = max(self._begin, min(self._end, origin + offset))
        return self.tell()

    def tell(self) -> int:
        return self._place - self._begin
