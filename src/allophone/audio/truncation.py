"""Recordings that end before their container says, where FFmpeg does not tell: WAV and Ogg."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["missing_bytes"]

# Recorders that write into a pipe cannot know the length and state one of these or more (FFmpeg, SoX, arecord).
_WAV_UNKNOWN = 0x7FFF_0000
# Some writers count their own header into the length of the data.
_WAV_SLACK = 64
_OGG_HEADER = 27  # bytes before a page's table of segments
_OGG_PAGE = _OGG_HEADER + 255 + 255 * 255  # bytes of the longest page


def missing_bytes(path: Path) -> int:
    """Return how many bytes are missing at the end of a WAV or Ogg file; 0 where none are or nobody can tell.

    FFmpeg decodes a cut WAV or Ogg file to its end without a word. A WAV file states the length of its data; an Ogg
    page states its own, so a cut shows unless it falls between two pages.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        magic = file.read(12)
        size = file.seek(0, 2)
        if magic[:4] == b"RIFF" and magic[8:] == b"WAVE":
            return _wav(file, size)
        if magic[:4] == b"OggS":
            return _ogg(file, size)
    return 0


def _wav(file: BinaryIO, size: int) -> int:
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            missing = int(place + 8 + length - size)
            return missing if length < _WAV_UNKNOWN and missing > _WAV_SLACK else 0
        place += 8 + length + length % 2  # chunks lie on even bytes
    return 0


def _ogg(file: BinaryIO, size: int) -> int:
    file.seek(max(0, size - _OGG_PAGE))
    tail = file.read()
    begin = tail.rfind(b"OggS")
    page = tail[begin:] if begin >= 0 else b""
    if len(page) < _OGG_HEADER:
        return _OGG_HEADER - len(page) if page else 0
    n_segments = page[_OGG_HEADER - 1]
    lengths = page[_OGG_HEADER : _OGG_HEADER + n_segments]
    return max(0, _OGG_HEADER + n_segments + sum(lengths) - len(page))
