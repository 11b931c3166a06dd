"""Ogg pages: whether the last one is whole, and how many fail their checksum (RFC 3533)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["OggPages", "check_pages"]

_MAGIC = b"OggS"
_HEADER = 27  # bytes before a page's table of segments
_PAGE = _HEADER + 255 + 255 * 255  # bytes of the longest page
_CHECKSUM = slice(22, 26)
# zlib's CRC-32 has the polynomial of Ogg's with all bits the other way round.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class OggPages:
    """What a pass over an Ogg file found.

    Args:
        n_pages: Whole pages.
        n_damaged: Those whose checksum is wrong, and stretches between pages that are no page.
        last_damaged: Whether the last page is one of them, so that the end may be lost.
        missing: Bytes that the last page lacks; 0 where it is whole.
    """

    n_pages: int
    n_damaged: int
    last_damaged: bool
    missing: int


def check_pages(file: BinaryIO, size: int) -> OggPages | None:
    """Read all pages of an Ogg file and check their sums; None where it is no Ogg file.

    What precedes the first page or follows the last is no damage. FFmpeg drops a page whose sum is wrong without a
    word, and decodes a file that was cut to its end; a cut shows unless it falls between two pages.

    Raises:
        OSError: The file cannot be read.
    """
    file.seek(0)
    if file.read(4) != _MAGIC:
        return None
    index, n_pages, n_damaged, missing, last_damaged = 0, 0, 0, 0, False
    while index < size:
        file.seek(index)
        page = file.read(_PAGE)
        length = _page_length(page)
        if length > len(page):  # the file ends within it
            missing = length - len(page)
            found = page.find(_MAGIC, 4)  # a wrong length, if pages follow
            if found < 0:
                n_pages += 1
                break
            missing = 0
        if length <= len(page) and _checksum(page[:length]) == page[_CHECKSUM]:
            n_pages, last_damaged = n_pages + 1, False
            index += length
            if page[length : length + 4] != _MAGIC and (index := _next_page(file, index, size)) < size:
                n_damaged += 1
            continue
        n_pages, n_damaged, last_damaged = n_pages + 1, n_damaged + 1, True
        index = _next_page(file, index + 4, size)
    return OggPages(n_pages, n_damaged, last_damaged, missing)


def _page_length(page: bytes) -> int:
    if len(page) < _HEADER:
        return _HEADER
    n_segments = page[_HEADER - 1]
    return _HEADER + n_segments + sum(page[_HEADER : _HEADER + n_segments])


def _checksum(page: bytes) -> bytes:
    """Return the sum as it stands in the page: CRC-32, polynomial 0x04C11DB7, zero at first, bits not reversed."""
    blank = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    mirrored = zlib.crc32(blank.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{mirrored:032b}"[::-1], 2).to_bytes(4, "little")


def _next_page(file: BinaryIO, index: int, size: int) -> int:
    """Return where the next page begins; ``size`` where none follows."""
    while index < size:
        file.seek(index)
        block = file.read(_PAGE)
        found = block.find(_MAGIC)
        if found >= 0:
            return index + found
        index += max(1, len(block) - 3)
    return size
