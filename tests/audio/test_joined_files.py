import struct

import numpy as np
import pytest

from allophone.audio.decode import decode_audio
from allophone.audio.joined_files import joined_parts


def parts(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with path.open("rb") as file:
        return joined_parts(file, len(content))


def box(kind, content=b"", *, long=False, decode_rest=False):
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 0 if decode_rest else 8 + len(content), kind) + content


AIFF = b"FORM" + struct.pack(">I", 104) + b"AIFF" + bytes(100)
MP4 = box(b"ftyp", b"M4A ") + box(b"mdat", bytes(50)) + box(b"moov", bytes(30))
LONG = box(b"ftyp", b"M4A ") + box(b"mdat", bytes(50), long=True) + box(b"moov", bytes(30))


@pytest.mark.parametrize("one", [AIFF, MP4, LONG, AIFF.replace(b"AIFF", b"AIFC")])
@pytest.mark.parametrize("n", [2, 3])
def test_files_joined_end_to_end(tmp_path, one, n):
    assert parts(tmp_path, one * n) == tuple((len(one) * i, len(one) * (i + 1)) for i in range(n))


@pytest.mark.parametrize(
    "content",
    [
        AIFF,
        MP4,
        AIFF + b"junk behind it",
        MP4 + b"junk behind it, as long as a box",
        box(b"ftyp") + box(b"mdat", MP4),  # one within
        box(b"ftyp") + box(b"mdat", MP4, decode_rest=True),
        box(b"moov") + MP4,
        MP4[:-10],
        b"",
        b"RIFF" + bytes(100),
    ],
)
def test_one_file_alone(tmp_path, content):
    assert parts(tmp_path, content) == ()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("a.aiff", "pcm_s16be", {}), ("a.m4a", "aac", {}), ("a.m4a", "aac", {"movflags": "faststart"})],
)
def test_all_of_them_are_read(record, name, codec, options):
    path = record(name, codec, 48_000, options=options)
    alone = decode_audio(path).samples
    path.write_bytes(path.read_bytes() * 2)
    found = decode_audio(path)
    np.testing.assert_array_equal(found.samples, np.concatenate([alone, alone]))
    assert found.notices == ("holds 2 files joined end to end; all of them are read",)
