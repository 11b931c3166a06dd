import struct

import pytest

from allophone.audio.ogg_pages import OggPages, check_pages


def checksum(page: bytes) -> int:
    """CRC-32 of RFC 3533 bit by bit: polynomial 0x04C11DB7, zero at first, bits not reversed, no final complement."""
    total = 0
    for byte in page:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1) ^ (0x04C11DB7 if total & 0x8000_0000 else 0)
            total &= 0xFFFF_FFFF
    return total


def page(payload: bytes) -> bytes:
    lacing = bytes([255] * (len(payload) // 255) + [len(payload) % 255])
    blank = b"OggS" + bytes(22) + bytes([len(lacing)]) + lacing + payload
    return blank[:22] + struct.pack("<I", checksum(blank)) + blank[26:]


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def checked(tmp_path, content: bytes) -> OggPages | None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with path.open("rb") as file:
        return check_pages(file, len(content))


A, B, C = page(b"a" * 600), page(b"b" * 700), page(b"c" * 65_000)


@pytest.mark.parametrize(
    ("content", "n_pages", "n_damaged", "last_damaged", "missing"),
    [
        (A, 1, 0, False, 0),
        (A + B + C, 3, 0, False, 0),
        (A + b"junk behind", 1, 0, False, 0),
        (flipped(A, 300) + B, 2, 1, False, 0),
        (A + flipped(B, 300) + C, 3, 1, False, 0),
        (A + flipped(B, 26) + C, 3, 1, False, 0),  # the table's length: the page seems to be another
        (A + B + flipped(C, 64_000), 3, 1, True, 0),
        (A + bytes(500) + B, 2, 1, False, 0),  # something between pages
        (A + B[:300] + C, 3, 1, False, 0),  # bytes gone from within
        (A + B[:-300], 2, 0, False, 300),
        (A + B[:5], 2, 0, False, 22),  # at least the rest of the 27 bytes of a header
        (C + C[:-1], 2, 0, False, 1),
    ],
)
def test_pages_that_are_damaged_or_cut(tmp_path, content, n_pages, n_damaged, last_damaged, missing):
    assert checked(tmp_path, content) == OggPages(n_pages, n_damaged, last_damaged, missing)


@pytest.mark.parametrize("content", [b"", b"Ogg", b"RIFF" + A])
def test_what_is_no_ogg_file(tmp_path, content):
    assert checked(tmp_path, content) is None


def test_every_cut_of_a_page_shows(tmp_path):
    whole = page(bytes(range(200)) * 3)
    for length in range(4, len(whole), 7):
        assert checked(tmp_path, A + whole[:length]).missing > 0


def test_every_changed_byte_shows(tmp_path):
    for place in range(4, len(A), 13):
        assert checked(tmp_path, B + flipped(A, place) + C).n_damaged == 1


@pytest.mark.parametrize("name", ["a.opus", "a.ogg"])
def test_pages_of_an_encoder_have_right_sums(record, tmp_path, name):
    content = record(name, "libopus", 48_000).read_bytes()
    found = checked(tmp_path, content)
    assert (found.n_damaged, found.missing) == (0, 0)
    assert found.n_pages == content.count(b"OggS")
