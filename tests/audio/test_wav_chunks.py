import struct

import numpy as np
import pytest

from allophone.audio.wav_chunks import WavLayout, wav_layout

SOUND = (8000 * np.sin(np.arange(16_000) / 20)).astype("<i2").tobytes()  # 1 s of 127 Hz
JUNK = np.random.default_rng(0).bytes(32_000)


def wav(
    data: bytes = SOUND, stated: int | None = None, before: bytes = b"", name: bytes = b"RIFF", kind: tuple = (1, 16)
) -> bytes:
    tag, bits = kind
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, 1, 16_000, 16_000 * bits // 8, bits // 8, bits)
    chunks = header + before + struct.pack("<4sI", b"data", len(data) if stated is None else stated) + data
    return struct.pack("<4sI4s", name, len(chunks) + 4, b"WAVE") + chunks


def laid_out(tmp_path, content: bytes) -> WavLayout | None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with path.open("rb") as file:
        return wav_layout(file, len(content))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)


LIST = chunk(b"LIST", b"abc")
DS64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(SOUND) + 1000, 16_000, 0))


@pytest.mark.parametrize(
    ("content", "missing", "decode_rest"),
    [
        (wav(), 0, False),
        (wav() + LIST, 0, False),
        (wav(before=LIST), 0, False),
        (wav(SOUND[:-1]) + bytes(1) + LIST, 0, False),  # odd data filled up to an even byte
        (wav(SOUND[:-1]) + LIST, 0, False),  # and not
        (wav(stated=len(SOUND) + 2000), 2000, False),
        (wav(stated=len(SOUND) + 2000, before=LIST), 2000, False),
        (wav(stated=len(SOUND) + 44), 0, False),  # the header counted in
        (wav(stated=0xFFFF_FFFF), 0, True),  # written into a pipe
        (wav(stated=0x7FFF_FFFF), 0, True),
        (wav(stated=0x7FFF_F000), 0, True),
        (wav(stated=0), 0, True),  # a recorder died
        (wav(b""), 0, False),
        (wav() + JUNK[:3000], 0, False),
        (wav() + JUNK, 0, False),
        (wav() + b"a note behind the sound " * 200, 0, False),
        (wav() + bytes(4000), 0, False),
        (wav(name=b"RF64", before=DS64, stated=0xFFFF_FFFF), 1000, False),
        (wav(name=b"BW64", before=DS64, stated=0xFFFF_FFFF) + bytes(1000), 0, False),
    ],
)
def test_headers_are_judged_by_bytes(tmp_path, content, missing, decode_rest):
    found = laid_out(tmp_path, content)
    assert (found.missing, found.decode_rest, found.n_stated, found.contradiction) == (missing, decode_rest, 0, "")
    assert len(found.parts) == 1


def sound(kind: tuple[int, int], n: int = 16_000) -> bytes:
    wave = np.sin(np.arange(n) / 20)
    if kind == (1, 8):
        return (128 + 90 * wave).astype("u1").tobytes()
    if kind == (1, 24):
        return (2**22 * wave).astype("<i4").view("u1").reshape(-1, 4)[:, :3].tobytes()
    scale, name = {(1, 16): (8000, "<i2"), (1, 32): (2**30, "<i4"), (3, 32): (0.5, "<f4"), (3, 64): (0.5, "<f8")}[kind]
    return (scale * wave).astype(name).tobytes()


@pytest.mark.parametrize("kind", [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_sound_behind_the_stated_end_is_sound(tmp_path, kind):
    stated = len(sound(kind)) // 4
    found = laid_out(tmp_path, wav(sound(kind), stated=stated, kind=kind))
    assert (found.decode_rest, found.n_stated) == (True, stated)
    found = laid_out(tmp_path, wav(sound(kind), kind=kind) + JUNK)
    assert (found.decode_rest, found.n_stated) == (False, 0)


def test_a_sliver_behind_the_stated_end_is_none(tmp_path):
    assert not laid_out(tmp_path, wav(stated=len(SOUND) - 3000)).decode_rest  # under 0.1 s, 3,200 bytes


@pytest.mark.parametrize("n", [2, 3, 10])
def test_files_joined_end_to_end(tmp_path, n):
    found = laid_out(tmp_path, wav() * n)
    assert found == WavLayout(tuple((len(wav()) * i, len(wav()) * (i + 1)) for i in range(n)))


def test_joined_files_with_chunks_behind_the_sound(tmp_path):
    content = wav() + LIST + wav(SOUND[:1000]) + LIST
    assert laid_out(tmp_path, content).parts == ((0, len(wav() + LIST)), (len(wav() + LIST), len(content)))


def test_a_cut_in_the_second_of_two(tmp_path):
    assert laid_out(tmp_path, wav() + wav()[:-500]).missing == 500


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", wav()[:20], wav()[:40], b"RIFX" + wav()[4:], b"fLaC" + bytes(100), b"\0" * 1000]
)
def test_what_is_no_wav_file_or_has_no_data(tmp_path, content):
    assert laid_out(tmp_path, content) is None


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (24, struct.pack("<I", 44_100), "44100 blocks of 2 bytes per second, and 32000 bytes"),
        (28, struct.pack("<I", 48_000), "16000 blocks of 2 bytes per second, and 48000 bytes"),
        (22, struct.pack("<H", 2), "2 channels of 16 bits in blocks of 2 bytes"),
        (34, struct.pack("<H", 24), "1 channels of 24 bits in blocks of 2 bytes"),
    ],
)
def test_a_header_that_contradicts_itself(tmp_path, place, value, told):
    content = wav()
    content = content[:place] + value + content[place + len(value) :]
    assert laid_out(tmp_path, content).contradiction == told


def test_every_cut_shows(tmp_path):
    whole = wav()
    for length in range(44, len(whole) - 64, 777):
        assert laid_out(tmp_path, whole[:length]).missing == len(whole) - length
