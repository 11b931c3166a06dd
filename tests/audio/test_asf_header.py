import struct

import pytest

from allophone.audio.asf_header import asf_missing_bytes

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def asf(stated: int, flags: int = 2) -> bytes:
    # object GUID and size, file GUID, file size, four times of 8 bytes, preroll, flags
    properties = PROPERTIES + struct.pack("<Q16sQ", 104, bytes(16), stated) + bytes(40) + struct.pack("<I", flags)
    return HEADER + bytes(14) + properties + bytes(100)


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (asf(222), 0),
        (asf(1222), 1000),
        (asf(100), 0),  # something behind it
        (asf(1222, flags=1), 0),  # written while it was sent
        (asf(222)[:60], 0),
        (b"RIFF" + asf(1222), 0),
        (b"", 0),
    ],
)
def test_bytes_missing_at_the_end(tmp_path, content, missing):
    assert len(asf(222)) == 222
    path = tmp_path / "a"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert asf_missing_bytes(file, len(content)) == missing


@pytest.mark.parametrize("cut", [0.25, 0.5, 0.9])
def test_a_file_of_an_encoder(record, cut):
    path = record("a.wma", "wmav2", 44_100, bit_rate=64_000)
    content = path.read_bytes()
    with path.open("rb") as file:
        assert asf_missing_bytes(file, len(content)) == 0
        assert asf_missing_bytes(file, int(cut * len(content))) == len(content) - int(cut * len(content))
