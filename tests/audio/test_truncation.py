import struct

import pytest

from allophone.audio.truncation import missing_bytes


def wav(data: bytes, stated: int | None = None, before: bytes = b"") -> bytes:
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    chunks = header + before + struct.pack("<4sI", b"data", len(data) if stated is None else stated) + data
    return struct.pack("<4sI4s", b"RIFF", len(chunks) + 4, b"WAVE") + chunks


def page(payload: bytes) -> bytes:
    lacing = bytes([255] * (len(payload) // 255) + [len(payload) % 255])
    return b"OggS" + bytes(22) + bytes([len(lacing)]) + lacing + payload


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (wav(bytes(1000)), 0),
        (wav(bytes(1000)) + b"LIST" + bytes(50), 0),
        (wav(bytes(1000), before=struct.pack("<4sI", b"LIST", 3) + bytes(4)), 0),  # odd chunks are padded
        (wav(bytes(1000), stated=3000), 2000),
        (wav(bytes(1000), stated=3000, before=struct.pack("<4sI", b"LIST", 3) + bytes(4)), 2000),
        (wav(bytes(1000), stated=1044), 0),  # the header counted in
        (wav(bytes(1000), stated=0xFFFF_FFFF), 0),  # written into a pipe
        (wav(bytes(1000), stated=0x7FFF_F000), 0),
        (wav(bytes(1000), stated=0), 0),
        (wav(b"")[:20], 0),
        (page(bytes(600)), 0),
        (page(bytes(600)) + b"junk", 0),
        (page(bytes(600)) + page(bytes(700))[:-300], 300),
        (page(bytes(600)) + page(bytes(700))[:5], 22),  # at least the rest of the 27 bytes of a header
        (page(bytes(65_000)) + page(bytes(65_000))[:-1], 1),
        (b"fLaC" + bytes(100), 0),
        (b"", 0),
    ],
)
def test_bytes_missing_at_the_end(tmp_path, content, missing):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert missing_bytes(path) == missing


def test_every_cut_of_an_ogg_page_shows(tmp_path):
    whole = page(bytes(range(200)) * 3)
    path = tmp_path / "a"
    for length in range(12, len(whole)):
        path.write_bytes(page(b"x") + whole[:length])
        assert missing_bytes(path) > 0
