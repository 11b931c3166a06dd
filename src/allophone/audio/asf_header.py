"""ASF files (WMA): the length that the header states (Advanced Systems Format Specification 1.2, section 3.2)."""

from __future__ import annotations

import struct
from typing import BinaryIO

__all__ = ["asf_missing_bytes"]

_HEADER_OBJECT = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_LOOKED_AT = 1 << 16  # bytes; the object stands among the first
_BROADCAST = 1  # written while it was sent: no length is stated


def asf_missing_bytes(file: BinaryIO, size: int) -> int:
    """Return how many bytes an ASF file lacks at its end; 0 where it lacks none, states no length or is none.

    FFmpeg fits the length to the bytes that are there.

    Raises:
        OSError: The file cannot be read.
    """
    file.seek(0)
    head = file.read(_LOOKED_AT)
    index = head.find(_FILE_PROPERTIES) if head.startswith(_HEADER_OBJECT) else -1
    properties = head[index : index + 92]
    if index < 0 or len(properties) < 92:
        return 0
    (stated,) = struct.unpack_from("<Q", properties, 40)  # behind the GUIDs of object and file, and the object's size
    (flags,) = struct.unpack_from("<I", properties, 88)
    return 0 if flags & _BROADCAST else max(0, stated - size)
