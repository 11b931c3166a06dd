"""Damaged and hostile recordings, made from sound ones: which bytes are changed is drawn with a fixed seed."""

from __future__ import annotations

import io
import random
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["DAMAGES", "ENCODINGS", "Input", "damaged_inputs", "hostile_inputs", "sound_inputs"]

SECONDS = (2.4, 3.1)  # of the two sounds
# Name: container, codec, rate, layout, bit rate, options of the container.
ENCODINGS: dict[str, tuple[str, str, int, str, int | None, dict[str, str]]] = {
    "s16.wav": ("wav", "pcm_s16le", 16_000, "mono", None, {}),
    "f32.wav": ("wav", "pcm_f32le", 16_000, "mono", None, {}),
    "s24 stereo.wav": ("wav", "pcm_s24le", 44_100, "stereo", None, {}),
    "u8.wav": ("wav", "pcm_u8", 8_000, "mono", None, {}),
    "flac": ("flac", "flac", 16_000, "mono", None, {}),
    "mp3": ("mp3", "libmp3lame", 44_100, "mono", 64_000, {}),
    "no header.mp3": ("mp3", "libmp3lame", 44_100, "mono", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "m4a": ("ipod", "aac", 48_000, "mono", 64_000, {}),
    "faststart.m4a": ("ipod", "aac", 48_000, "mono", 64_000, {"movflags": "faststart"}),
    "aac": ("adts", "aac", 48_000, "mono", 64_000, {}),
    "opus": ("ogg", "libopus", 48_000, "mono", 24_000, {}),
    "flac.ogg": ("ogg", "flac", 16_000, "mono", None, {}),
    "webm": ("webm", "libopus", 48_000, "mono", 24_000, {}),
    "aiff": ("aiff", "pcm_s16be", 16_000, "mono", None, {}),
    "wma": ("asf", "wmav2", 44_100, "mono", 64_000, {}),
    "mka": ("matroska", "flac", 16_000, "mono", None, {}),
}


@dataclass(frozen=True, slots=True)
class Input:
    """A file to decode.

    Args:
        kind: What was done to it.
        encoding: Its name in ``ENCODINGS``, or what it claims to be.
        content: Its bytes.
        seconds: Length of the sound it was made from; None where that says nothing of it.
    """

    kind: str
    encoding: str
    content: bytes
    seconds: float | None


def sound_inputs() -> dict[tuple[int, str], Input]:
    """Return each of two sounds in every encoding."""
    return {
        (number, name): Input("undamaged", name, _encoded(_sound(number), name), SECONDS[number])
        for number in range(len(SECONDS))
        for name in ENCODINGS
    }


def _sound(number: int) -> NDArray[np.float64]:
    """Harmonics of a wandering pitch with syllables and some noise, at 48 kHz."""
    rng = np.random.default_rng(number)
    time = np.arange(round(48_000 * SECONDS[number])) / 48_000
    pitch = np.interp(time, np.linspace(0, SECONDS[number], 10), rng.uniform(90, 220, 10))
    phase = 2 * np.pi * np.cumsum(pitch) / 48_000
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time) + 0.4, 0, 1)
    sound: NDArray[np.float64] = 0.2 * voice * syllables + rng.normal(0, 0.003, time.size)
    return sound


def _encoded(sound: NDArray[np.float64], name: str) -> bytes:
    container, codec, rate, layout, bit_rate, options = ENCODINGS[name]
    place = np.arange(round(sound.size * rate / 48_000)) * 48_000 / rate
    samples = np.interp(place, np.arange(sound.size), sound).astype(np.float32)
    with tempfile.NamedTemporaryFile() as target:  # faststart reads what it has written
        _write(target.name, samples, container, codec, rate, layout, bit_rate, options)
        return Path(target.name).read_bytes()


def _write(
    path: str,
    samples: NDArray[np.float32],
    container: str,
    codec: str,
    rate: int,
    layout: str,
    bit_rate: int | None,
    options: dict[str, str],
) -> None:
    with av.open(path, "w", format=container, options=options) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout=layout)
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        channels = np.tile(samples, (2 if layout == "stereo" else 1, 1))
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)


def _flipped(content: bytes, rng: random.Random, first: int, last: int, count: int) -> bytes:
    changed = bytearray(content)
    for _ in range(count):
        changed[rng.randrange(first, min(last, len(changed)))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _header_flips(content: bytes, rng: random.Random) -> Iterator[bytes]:
    for turn in range(12):
        yield _flipped(content, rng, 0, 200, 1 + turn % 4)


def _body_flips(content: bytes, rng: random.Random) -> Iterator[bytes]:
    for count in (1, 1, 3, 10, 30, 100, 1000, 3000):
        yield _flipped(content, rng, 200, len(content), count)


def _cuts(content: bytes, rng: random.Random) -> Iterator[bytes]:
    del rng
    length = len(content)
    places = [0, 1, 3, 4, 12, 43, 44, 45, 100, 500, length // 4, length // 2, 3 * length // 4]
    places += [length - back for back in (5000, 1000, 100, 10, 1)]
    for place in places:
        if 0 <= place < length:
            yield content[:place]


def _zeroed(content: bytes, rng: random.Random) -> Iterator[bytes]:
    for length in (4, 64, 1024, 20_000):
        place = rng.randrange(0, len(content) - 10)
        end = min(len(content), place + length)
        yield content[:place] + bytes(end - place) + content[end:]


def _huge_numbers(content: bytes, rng: random.Random) -> Iterator[bytes]:
    for value in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\0\x80") * 2:
        place = rng.randrange(4, 120)
        yield content[:place] + value + content[place + 4 :]


def _holes(content: bytes, rng: random.Random) -> Iterator[bytes]:
    for _ in range(3):
        place = rng.randrange(200, len(content) - 2000)
        yield content[:place] + content[place + 1500 :]


def _joined(content: bytes, rng: random.Random) -> Iterator[bytes]:
    del rng
    yield content + content


def _junk_before(content: bytes, rng: random.Random) -> Iterator[bytes]:
    for length in (1, 100, 3000):
        yield rng.randbytes(length) + content


def _junk_behind(content: bytes, rng: random.Random) -> Iterator[bytes]:
    for length in (1, 100, 3000):
        yield content + rng.randbytes(length)


DAMAGES: dict[str, Callable[[bytes, random.Random], Iterator[bytes]]] = {
    "bits flipped in the first 200 bytes": _header_flips,
    "bits flipped behind them": _body_flips,
    "cut": _cuts,
    "zeros in it": _zeroed,
    "a huge number in the header": _huge_numbers,
    "1,500 bytes taken out": _holes,
    "joined with itself": _joined,
    "junk before it": _junk_before,
    "junk behind it": _junk_behind,
}


def damaged_inputs(seed: int) -> Iterator[Input]:
    """Yield every kind of damage of every sound input, splices of two, and random bytes."""
    rng = random.Random(seed)
    sound = sound_inputs()
    for (number, name), whole in sound.items():
        for kind, damage in DAMAGES.items():
            keeps = whole.seconds if kind != "joined with itself" else 2 * SECONDS[number]
            for content in damage(whole.content, rng):
                yield Input(kind, name, content, keeps)
        half = whole.content[: len(whole.content) // 2]
        for other in (name, rng.choice(list(ENCODINGS))):
            end = sound[1 - number, other].content
            same = "of the same" if other == name else "of another"
            yield Input(f"half, then half {same} encoding", name, half + end[len(end) // 2 :], None)
    for turn in range(20):
        yield Input("random bytes", "none", rng.randbytes((1, 50, 5_000, 200_000)[turn % 4]), None)


def hostile_inputs() -> Iterator[Input]:
    """Yield files whose few bytes claim much."""
    for rate in (1, 8, 100, 500_000, 767_999, 2_113_152, 100_000_007, 2_000_000_011):
        yield Input(f"WAV of {rate} Hz", "wav", _wav(rate, 1, 200_000), None)
    for channels in (64, 255, 65_535):
        yield Input(f"WAV of {channels} channels", "wav", _wav(16_000, channels, 200_000), None)
    for frames in (70, 1_000, 100_000):
        yield Input(f"FLAC of silence, {frames * 65_535 / 8_000 / 3600:.1f} h", "flac", _constant_flac(frames), None)
    for hours in (0.5, 3.0, 1_000.0):
        yield Input(f"Matroska with a gap of {hours:g} h", "mka", _with_gap(hours), None)
    yield Input("MP3 frames of silence, 10 h", "mp3", _encoded(np.zeros(48_000), "no header.mp3") * 36_000, None)


def _wav(rate: int, channels: int, n_bytes: int) -> bytes:
    block = channels & 0xFFFF
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block & 0xFFFF_FFFF, block, 8)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", n_bytes) + bytes([128]) * n_bytes
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def _constant_flac(n_frames: int) -> bytes:
    """FLAC in frames of 65,535 equal samples at 8 kHz: 8.2 s in some 15 bytes (RFC 9639)."""
    numbers = (8_000 << 44) | (15 << 36)  # rate, one channel, 16 bits; the number of samples is left open
    stream = struct.pack(">HH", 65_535, 65_535) + bytes(6) + numbers.to_bytes(8, "big") + bytes(16)
    parts = [b"fLaC\x80" + len(stream).to_bytes(3, "big") + stream]
    for number in range(n_frames):
        coded = chr(number) if not 0xD800 <= number < 0xE000 else chr(0xE000)  # UTF-8 has no surrogates
        head = b"\xff\xf8\x74\x08" + coded.encode() + struct.pack(">H", 65_534)
        frame = head + _crc(head, 0x07, 8) + b"\0\0\0"  # one constant subframe of zeros
        parts.append(frame + _crc(frame, 0x8005, 16))
    return b"".join(parts)


def _crc(data: bytes, polynomial: int, bits: int) -> bytes:
    total = 0
    for byte in data:
        total ^= byte << (bits - 8)
        for _ in range(8):
            total = ((total << 1) ^ (polynomial if total >> (bits - 1) else 0)) & ((1 << bits) - 1)
    return total.to_bytes(bits // 8, "big")


def _with_gap(hours: float) -> bytes:
    source, target = io.BytesIO(_encoded(_sound(0), "webm")), io.BytesIO()
    with av.open(source) as given, av.open(target, "w", format="matroska") as output:
        stream = output.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(given.streams.audio[0]):
            if packet.pts is None:
                continue
            late = round(3600 * hours / packet.time_base) if packet.pts * packet.time_base > 1 else 0
            packet.pts = packet.dts = packet.pts + late
            packet.stream = stream
            output.mux(packet)
    return target.getvalue()
