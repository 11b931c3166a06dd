"""WAV files judged by their bytes, where the header is wrong: too short, a placeholder, or two files glued together.

RIFF: 8 bytes of name and length before every chunk (Multimedia Programming Interface and Data Specifications 1.0, IBM
and Microsoft 1991); RF64 and BW64 keep lengths of more than 32 bits in a chunk ``ds64`` (EBU Tech 3306).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["WavLayout", "wav_layout"]

# Recorders that write into a pipe cannot know the length and state one of these or more (FFmpeg, SoX, arecord).
_UNKNOWN = 0x7FFF_0000
# Some writers count their own header into the length of the data.
_SLACK = 64
_HEADER = 8  # bytes of a chunk's name and length
_LEAST_REST_S = 0.1  # of sound behind the stated end; less is a rounding of some block
_LOOKS = 8  # places in the rest that are looked at
_LOOK_S = 0.25
_LEAST_CORRELATION = 0.5  # of neighbouring samples: speech 0.7 to 0.99, anything that is no sound about 0
_LOUDEST_FLOAT = 16.0
_MOST_FILES = 1000


@dataclass(frozen=True, slots=True)
class WavLayout:
    """Where the sound of a WAV file lies.

    Args:
        parts: First and last byte (exclusive) of each WAV file in it; more than one where files were glued together.
        missing: Bytes that the header states and the file lacks; 0 where none are.
        decode_rest: Whether the data of the only part reach to the end of the file, whatever the header states.
        n_stated: Bytes of data that the header of the only part states, where that is less than there are; else 0.
        contradiction: How the header of the first part contradicts itself; empty where it does not.
    """

    parts: tuple[tuple[int, int], ...]
    missing: int = 0
    decode_rest: bool = False
    n_stated: int = 0
    contradiction: str = ""


@dataclass(frozen=True, slots=True)
class _Data:
    place: int
    length: int
    form: bytes  # the chunk "fmt "


def wav_layout(file: BinaryIO, size: int) -> WavLayout | None:
    """Return where the sound of a WAV file lies; None where the file is none, or has no chunk of data.

    Data behind the stated end that are neither chunks nor another WAV file count as sound where neighbouring samples
    resemble each other as those of sound do, and else as junk.

    Args:
        file: At any place.
        size: Its bytes.

    Raises:
        OSError: The file cannot be read.
    """
    first = _find_data(file, 0, size)
    return None if first is None else replace(_lay_out(file, size), contradiction=_contradiction(first.form))


def _lay_out(file: BinaryIO, size: int) -> WavLayout:
    parts: list[tuple[int, int]] = []
    begin = 0
    while len(parts) < _MOST_FILES and (data := _find_data(file, begin, size)) is not None:
        end = data.place + data.length
        if data.length >= _UNKNOWN and end > size:
            parts.append((begin, size))
            return WavLayout(tuple(parts), decode_rest=len(parts) == 1)
        if end - size > _SLACK:
            return WavLayout((*parts, (begin, size)), missing=end - size)
        rest = _rest(file, min(end, size), size)
        if data.length == 0 and rest < size and not _is_wav(file, rest):
            return WavLayout(((begin, size),), decode_rest=True)
        parts.append((begin, rest if rest < size else size))
        if rest >= size:
            break
        if not _is_wav(file, rest):
            if begin == 0 and rest == end and _sounds(file, rest, size, data.form):
                return WavLayout(((0, size),), decode_rest=True, n_stated=data.length)
            break
        begin = rest
    return WavLayout(tuple(parts))


def _is_wav(file: BinaryIO, place: int) -> bool:
    file.seek(place)
    head = file.read(12)
    return head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE"


def _find_data(file: BinaryIO, begin: int, size: int) -> _Data | None:
    if not _is_wav(file, begin):
        return None
    place, form, long_length = begin + 12, b"", None
    while place + _HEADER <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(_HEADER))
        if name == b"data":
            if length == 0xFFFF_FFFF and long_length:
                length = long_length
            return _Data(place + _HEADER, length, form)
        if name == b"ds64":
            content = file.read(16)
            long_length = struct.unpack("<Q", content[8:16])[0] if len(content) == 16 else None
        elif name == b"fmt ":
            form = file.read(min(length, 64))
        place += _HEADER + length + length % 2  # chunks lie on even bytes
    return None


def _contradiction(form: bytes) -> str:
    """Compare the numbers of a PCM header, of which one says what two others say."""
    tag, channels, rate, byte_rate, block, bits = struct.unpack("<HHIIHH", form[:16].ljust(16, b"\0"))
    if tag not in (1, 3, 0xFFFE) or not block:
        return ""
    if block != channels * -(-bits // 8):
        return f"{channels} channels of {bits} bits in blocks of {block} bytes"
    if byte_rate != rate * block:
        return f"{rate} blocks of {block} bytes per second, and {byte_rate} bytes"
    return ""


def _rest(file: BinaryIO, end: int, size: int) -> int:
    """Return where chunks cease to follow the data; ``size`` where they reach to the end of the file."""
    for begin in dict.fromkeys((end + end % 2, end)):  # not every writer fills up to an even byte
        place = begin
        while place + _HEADER <= size and not _is_wav(file, place):
            file.seek(place)
            name, length = struct.unpack("<4sI", file.read(_HEADER))
            if not (name.isascii() and name.decode("ascii").isprintable()) or place + _HEADER + length > size + 1:
                break
            place += _HEADER + length + length % 2
        if place + _HEADER > size:
            return size
        if place > begin or _is_wav(file, place):
            return place
    return end


def _sounds(file: BinaryIO, begin: int, size: int, form: bytes) -> bool:
    import numpy as np

    if len(form) < 16:
        return False
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == 0xFFFE and len(form) >= 26:  # the format is the first two bytes of the subformat's name
        tag = int.from_bytes(form[24:26], "little")
    if (
        tag not in (1, 3)
        or not channels
        or block != channels * bits // 8
        or size - begin < _LEAST_REST_S * rate * block
    ):
        return False
    products, powers = 0.0, 0.0
    for samples in _looks(file, begin, size, tag, bits, block, int(_LOOK_S * rate)):
        if samples is None or not np.isfinite(samples).all() or (tag == 3 and abs(samples).max() > _LOUDEST_FLOAT):
            return False
        centred = samples - samples.mean()
        products += float(centred[1:] @ centred[:-1])
        powers += float(centred @ centred)
    return products > _LEAST_CORRELATION * powers


def _looks(
    file: BinaryIO, begin: int, size: int, tag: int, bits: int, block: int, n_frames: int
) -> Iterator[NDArray[np.float64] | None]:
    """Yield some of the first channel's samples from places spread over the rest; None for an unknown format."""
    import numpy as np

    n_blocks = (size - begin) // block
    n_frames = max(2, min(n_frames, n_blocks))
    kinds = {(1, 8): "u1", (1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}
    for look in range(_LOOKS):
        file.seek(begin + (n_blocks - n_frames) * look // (_LOOKS - 1) * block)
        blocks = np.frombuffer(file.read(n_frames * block), np.uint8).reshape(-1, block)
        first = np.ascontiguousarray(blocks[:, : bits // 8])
        if (tag, bits) == (1, 24):
            first, kind = np.ascontiguousarray(first[:, 1:]), "<i2"  # the upper 16 bits
        elif (tag, bits) in kinds:
            kind = kinds[tag, bits]
        else:
            yield None
            return
        with np.errstate(invalid="ignore"):
            yield first.view(kind)[:, 0].astype(np.float64)
