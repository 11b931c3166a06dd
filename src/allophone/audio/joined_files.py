"""Concatenated AIFF and MP4 files, whose readers stop at the end of the first one.

AIFF: a chunk FORM states the length of the file (Apple, Audio Interchange File Format 1.3). MP4: boxes follow each
other at the top level, and a file has one box ``ftyp``, its first (ISO/IEC 14496-12). WAV has a module of its own
(:mod:`allophone.audio.wav_chunks`); FFmpeg reads on in Ogg, Matroska and bare sequences of frames.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

__all__ = ["joined_parts"]

_MOST_FILES = 1000
_MOST_BOXES = 100_000


def joined_parts(file: BinaryIO, size: int) -> tuple[tuple[int, int], ...]:
    """Return first and last byte (exclusive) of each file in an AIFF or MP4 file; none where it is one file alone.

    Raises:
        OSError: The file cannot be read.
    """
    begins = _aiff_begins(file, size) if _is_aiff(file, 0) else _mp4_begins(file, size)
    if len(begins) < 2:
        return ()
    return tuple(zip(begins, (*begins[1:], size), strict=True))


def _is_aiff(file: BinaryIO, index: int) -> bool:
    file.seek(index)
    head = file.read(12)
    return head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC")


def _aiff_begins(file: BinaryIO, size: int) -> list[int]:
    begins: list[int] = []
    index = 0
    while index < size and len(begins) < _MOST_FILES and _is_aiff(file, index):
        begins.append(index)
        file.seek(index + 4)
        (length,) = struct.unpack(">I", file.read(4))
        index += 8 + length + length % 2
    return begins


def _mp4_begins(file: BinaryIO, size: int) -> list[int]:
    begins: list[int] = []
    index = 0
    for _ in range(_MOST_BOXES):
        file.seek(index)
        head = file.read(16)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head[:8])
        if kind == b"ftyp":
            begins.append(index)
        if not begins:
            break
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
        if length < 8 or index + length > size:
            break
        index += length
    return begins
