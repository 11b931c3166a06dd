import os
import re
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from faster_whisper.audio import decode_audio as decoded_by_faster_whisper

from allophone.audio.decode import AUDIO_SUFFIXES, decode_audio, load_audio
from allophone.errors import AudioError
from builders import write_wav

FORMATS = [
    ("a.wav", "pcm_s16le"),
    ("a.flac", "flac"),
    ("a.mp3", "libmp3lame"),
    ("a.m4a", "aac"),
    ("a.opus", "libopus"),
    ("a.ogg", "libopus"),
    ("a.webm", "libopus"),
    ("a.aiff", "pcm_s16be"),
]


def middle(samples):
    return samples[8_000:40_000]  # 0.5 s to 2.5 s, away from the codec's edges


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize(("name", "codec"), FORMATS)
def test_every_format_becomes_16_khz_mono(record, name, codec, rate, layout):
    samples = load_audio(record(name, codec, rate, layout))
    assert samples.dtype == np.float32
    assert samples.size == pytest.approx(48_000, abs=512)  # 3 s; AAC ends on a block of 1024 samples
    # A sine of amplitude 0.5 has an RMS of 0.5/sqrt(2) = 0.3536, however many channels carry it; MP3 loses 5 %.
    assert np.sqrt(np.mean(middle(samples) ** 2)) == pytest.approx(0.3536, rel=0.06)
    spectrum = np.abs(np.fft.rfft(middle(samples)))  # 32,000 samples of 16 kHz: 0.5 Hz a bin
    assert spectrum.argmax() * 0.5 == pytest.approx(440, abs=0.5)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000])
def test_unusual_rates_keep_the_length(record, rate):
    assert load_audio(record("a.wav", "pcm_s16le", rate)).size == 48_000  # 3 s


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_samples_equal_those_of_faster_whisper(record, layout):
    path = record("a.flac", "flac", 44_100, layout)
    np.testing.assert_array_equal(load_audio(path), decoded_by_faster_whisper(str(path)))


def test_channels_are_averaged(tmp_path):
    left, right = np.full(1600, 8000, np.int16), np.full(1600, -4000, np.int16)
    frame = av.AudioFrame.from_ndarray(np.stack([left, right], axis=1).reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate = 16_000
    with av.open(str(tmp_path / "a.wav"), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    # (8000 - 4000) / 2 / 32768 = 0.06104, to one step of 1/32768
    np.testing.assert_allclose(load_audio(tmp_path / "a.wav"), 0.06104, atol=1 / 32768)


def test_loud_floats_are_clipped(record):
    samples = load_audio(record("a.wav", "pcm_f32le", 16_000, samples=np.full(1600, 7.0)))
    assert samples.max() == samples.min() == 32767 / 32768


def test_samples_can_be_written_to(record):
    samples = load_audio(record("a.wav", "pcm_s16le", 16_000))
    samples[0] = 0.25
    assert samples[0] == 0.25


def test_suffixes_are_those_that_folders_are_searched_for():
    assert {".wav", ".flac", ".mp3", ".m4a", ".opus", ".ogg", ".webm"} <= AUDIO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        *((suffix, "amr_nb", 8_000) for suffix in ("amr", "3gp")),
        *((suffix, "aac", 48_000) for suffix in ("3g2", "m4b", "m4v", "mov", "mp4", "flv", "ts", "mts", "m2ts")),
        *((suffix, "pcm_s16be", 44_100) for suffix in ("aif", "aifc", "au", "caf", "snd")),
        *((suffix, "mp2", 44_100) for suffix in ("mp2", "mpg", "mpeg", "vob", "avi")),
        *((name, name, 48_000) for name in ("ac3", "eac3", "tta")),
        ("wv", "wavpack", 44_100),
        ("w64", "pcm_s16le", 44_100),
        ("voc", "pcm_u8", 16_000),
        *((suffix, "flac", 44_100) for suffix in ("oga", "mka", "mkv")),
    ],
)
def test_other_formats_that_folders_are_searched_for(record, suffix, codec, rate):
    container = {"snd": "au", "m4b": "mp4", "vob": "vob", "oga": "ogg", "mts": "mpegts", "aifc": "aiff"}.get(suffix)
    bit_rate = {"amr_nb": 12_200, "eac3": 96_000, "ac3": 96_000, "mp2": 64_000}.get(codec)
    found = decode_audio(record(f"a.{suffix}", codec, rate, container=container, bit_rate=bit_rate))
    assert f".{suffix}" in AUDIO_SUFFIXES
    assert found.samples.size / 16_000 == pytest.approx(3.0, abs=0.11)
    assert np.sqrt(np.mean(middle(found.samples) ** 2)) == pytest.approx(0.3536, rel=0.2)  # AMR makes a tone softer
    assert found.notices == ()


def test_a_file_whose_rate_changes_on_the_way(record):
    first = record("1.aac", "aac", 44_100).read_bytes()
    second = record("2.aac", "aac", 16_000, "stereo").read_bytes()
    path = record("1.aac", "aac", 44_100)
    path.write_bytes(first + second)
    assert load_audio(path).size / 16_000 == pytest.approx(6.0, abs=0.2)


def test_a_name_that_is_not_utf_8(record, tmp_path):
    path = tmp_path / b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    record("a.wav", "pcm_s16le", 16_000).rename(path)
    assert load_audio(path).size == 48_000


@pytest.mark.parametrize(
    ("container", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), ("matroska", "libopus"), ("mp3", "libmp3lame")]
)
def test_recordings_streamed_into_a_pipe_state_no_length(record, tmp_path, container, codec):
    written = bytearray()

    class Pipe:
        def write(self, data):
            written.extend(bytes(data))
            return len(data)

    record("unused", codec, 48_000, target=Pipe(), container=container)
    path = tmp_path / "piped"
    path.write_bytes(written)
    assert load_audio(path).size / 16_000 == pytest.approx(3.0, abs=0.1)


def test_guessed_lengths_are_not_taken_for_stated_ones(record):
    # Ten seconds of near silence, then noise: from the first frames FFmpeg guesses that the file lasts minutes.
    samples = np.zeros(441_000 * 2)
    samples[441_000:] = np.random.default_rng(0).normal(0, 0.2, 441_000)
    path = record("a.aac", "aac", 44_100, samples=samples)
    with av.open(str(path)) as container:
        assert container.duration > 100 * av.time_base
    assert load_audio(path).size / 16_000 == pytest.approx(20.0, abs=0.2)


def test_sound_may_end_before_the_picture(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        audio = output.add_stream("aac", rate=48_000, layout="mono")
        for index in range(100):  # 10 s
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts = index
            output.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 96_000), np.float32), format="fltp", layout="mono")  # 2 s
        sound.sample_rate, sound.pts = 48_000, 0
        for packet in (*video.encode(None), *audio.encode(sound), *audio.encode(None)):
            output.mux(packet)
    assert load_audio(path).size / 16_000 == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.wav", "pcm_s16le", {}),
        ("a.flac", "flac", {}),
        ("a.mp3", "libmp3lame", {}),
        ("a.opus", "libopus", {}),
        ("a.webm", "libopus", {}),
        ("a.aiff", "pcm_s16be", {}),
        ("a.m4a", "aac", {"movflags": "faststart"}),
        ("a.aac", "aac", {}),
    ],
)
def test_a_file_cut_at_half_is_an_error_that_names_it(record, name, codec, options):
    path = record(name, codec, 48_000, options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=rf"{name}: (truncated|damaged)"):
        load_audio(path)


def test_an_mp3_without_a_header_cannot_tell_that_it_was_cut(record):
    path = record("a.mp3", "libmp3lame", 44_100, options={"write_xing": "0"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert load_audio(path).size / 16_000 == pytest.approx(1.5, abs=0.1)


def test_a_hole_of_zeros_is_skipped_and_told_of(record):
    path = record("a.mp3", "libmp3lame", 44_100)
    data = bytearray(path.read_bytes())
    data[20_000:21_000] = bytes(1_000)
    path.write_bytes(data)
    found = decode_audio(path)
    assert found.samples.size / 16_000 == pytest.approx(3.0, abs=0.2)
    (notice,) = found.notices
    assert "of 116 packets cannot be decoded and were skipped, the first at " in re.sub(r"of \d+ p", "of 116 p", notice)


def test_a_hole_of_half_the_file_is_refused(record):
    path = record("a.mp3", "libmp3lame", 44_100)
    data = bytearray(path.read_bytes())
    data[10_000:34_000] = bytes(24_000)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"a\.mp3: (truncated or )?damaged"):
        load_audio(path)


def test_samples_that_are_not_numbers_are_refused(record):
    samples = np.zeros(48_000)
    samples[20_000] = np.nan
    with pytest.raises(AudioError, match=r"a\.wav.*not finite"):
        load_audio(record("a.wav", "pcm_f32le", 16_000, samples=samples))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"These are words, not samples.\n" * 40, "not readable as audio"),
        (bytes(5_000), "not readable as audio|holds no audio"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00", "not readable as audio"),
    ],
)
def test_what_is_no_audio(tmp_path, content, message):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=f"a.wav.*({message})"):
        load_audio(path)


def test_a_header_without_samples(tmp_path):
    path = write_wav(tmp_path / "a.wav", np.zeros(0))
    with pytest.raises(AudioError, match=r"a\.wav: (decodes to no audio|not readable)"):
        load_audio(path)


def test_a_file_with_pictures_only(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for packet in (*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode(None)):
            output.mux(packet)
    with pytest.raises(AudioError, match=r"a\.mp4: holds no audio stream"):
        load_audio(path)


def test_missing_files_folders_and_impossible_names(tmp_path):
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        load_audio(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="is a folder"):
        load_audio(tmp_path)
    with pytest.raises(AudioError, match="file name too long"):
        load_audio(tmp_path / ("a" * 5_000))
    with pytest.raises(AudioError, match="no such file"):
        load_audio(tmp_path / "a\0b")


def remuxed(source, target, time, container=None):
    """Copy packets; ``time`` takes and returns seconds."""
    with av.open(str(source)) as given, av.open(str(target), "w", format=container) as output:
        stream = output.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(given.streams.audio[0]):
            if packet.pts is not None:
                moved = round(time(float(packet.pts * packet.time_base)) / packet.time_base)
                packet.pts = packet.dts = moved
                packet.stream = stream
                output.mux(packet)
    return target


def loud(samples):
    """Begin and end of every stretch with sound, in seconds to a tenth."""
    tenths = samples[: samples.size // 1600 * 1600].reshape(-1, 1600)
    edges = np.diff(np.concatenate([[0], np.sqrt((tenths**2).mean(1)) > 0.1, [0]]).astype(int))
    return [(b / 10, e / 10) for b, e in np.flatnonzero(edges).reshape(-1, 2).tolist()]


@pytest.mark.parametrize("name", ["b.webm", "b.mka"])
def test_a_gap_in_time_is_silence(record, tmp_path, name):
    path = remuxed(record("a.mka", "libopus", 48_000), tmp_path / name, lambda time: time + (5 if time >= 2 else 0))
    found = decode_audio(path)
    assert loud(found.samples) == [(0.0, pytest.approx(2.0, abs=0.11)), (7.0, 8.0)]
    assert found.notices == ("a gap in its time stamps, 5.0 s in all, filled with silence",)


def test_muted_twice(record, tmp_path):
    path = remuxed(record("a.mka", "libopus", 48_000), tmp_path / "b.webm", lambda time: time + int(time))
    found = decode_audio(path)
    assert np.allclose(loud(found.samples), [(0.0, 1.0), (2.0, 3.0), (4.0, 5.0)], atol=0.11)
    assert found.notices == ("2 gaps in its time stamps, 2.0 s in all, filled with silence",)


def test_a_recording_that_begins_late_without_a_picture_begins_with_its_sound(record, tmp_path):
    path = remuxed(record("a.mka", "libopus", 48_000), tmp_path / "late.mka", lambda time: time + 3)
    found = decode_audio(path)
    assert (loud(found.samples), found.notices) == ([(0.0, 3.0)], ())


def film(path, late_s, seconds=2.0):
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.width = video.height = 64
        audio = output.add_stream("aac", rate=48_000, layout="mono")
        for index in range(60):  # 6 s
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts = index
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        wave = 0.5 * np.sin(np.arange(round(48_000 * seconds)) / 20, dtype=np.float32)
        sound = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        sound.sample_rate, sound.time_base, sound.pts = 48_000, Fraction(1, 48_000), round(late_s * 48_000)
        for packet in (*audio.encode(sound), *audio.encode(None)):
            output.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize("late_s", [0.0, 1.5, 3.0])
def test_sound_of_a_film_keeps_its_time(tmp_path, name, late_s):
    found = decode_audio(film(tmp_path / name, late_s))
    ((begin, end),) = loud(found.samples)
    assert (begin, end, found.notices) == (pytest.approx(late_s, abs=0.11), pytest.approx(late_s + 2, abs=0.11), ())


def with_length(content, length):
    place = content.find(b"data") + 4
    return content[:place] + struct.pack("<I", length) + content[place + 4 :]


@pytest.mark.parametrize("length", [0, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_placeholders_for_a_length(record, length):
    path = record("a.wav", "pcm_s16le", 16_000)
    path.write_bytes(with_length(path.read_bytes(), length))
    found = decode_audio(path)
    assert (found.samples.size, found.notices) == (48_000, ())


def test_a_header_that_states_less_than_there_is(record):
    path = record("a.wav", "pcm_s16le", 16_000)
    path.write_bytes(with_length(path.read_bytes(), 32_000))
    found = decode_audio(path)
    assert found.samples.size == 48_000
    assert found.notices == ("the header states 32000 bytes of sound and more follow; all are read",)


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "pcm_s24le", "pcm_mulaw"])
def test_recordings_glued_together(record, codec):
    path = record("a.wav", codec, 16_000)
    path.write_bytes(path.read_bytes() * 3)
    found = decode_audio(path)
    assert found.samples.size == 3 * 48_000
    assert found.notices == ("holds 3 files joined end to end; all of them are read",)
    np.testing.assert_array_equal(found.samples[:48_000], found.samples[96_000:])
    part = decode_audio(path, offset_s=2.5, duration_s=1.0)
    np.testing.assert_array_equal(part.samples, found.samples[40_000:56_000])


def test_a_codec_that_nobody_knows(record):
    path = record("a.wav", "pcm_s16le", 16_000)
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"\xdc\xba" + content[22:])
    with pytest.raises(AudioError, match=r"a\.wav: its codec is unknown"):
        load_audio(path)


JUNK = np.random.default_rng(0).bytes(3_000)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.opus", "libopus"), ("a.m4a", "aac")]
)
def test_junk_behind_a_recording_is_no_damage(record, name, codec):
    path = record(name, codec, 48_000)
    whole = load_audio(path)
    path.write_bytes(path.read_bytes() + JUNK)
    found = decode_audio(path)
    np.testing.assert_allclose(found.samples[: whole.size], whole, atol=1e-3)
    assert found.samples.size == pytest.approx(whole.size, abs=320)
    assert found.notices == ()


@pytest.mark.parametrize("name", ["a.mp3", "a.aac"])
def test_junk_behind_a_sequence_of_frames_is_told_of_at_most(record, name):
    path = record(name, {"a.mp3": "libmp3lame", "a.aac": "aac"}[name], 44_100)
    path.write_bytes(path.read_bytes() + JUNK)
    found = decode_audio(path)
    assert found.samples.size / 16_000 == pytest.approx(3.0, abs=0.1)
    assert all("cannot be decoded" in notice for notice in found.notices)


@pytest.mark.parametrize("place", [0.2, 0.4, 0.6, 0.8])
def test_every_changed_byte_of_flac_is_told_of(record, place):
    path = record("a.flac", "flac", 16_000, samples=np.random.default_rng(0).normal(0, 0.1, 480_000))  # 30 s
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    found = decode_audio(path)
    assert found.samples.size / 16_000 == pytest.approx(30.0, abs=0.11)  # the rest keeps its time
    assert re.search("of damaged frames|cannot be decoded and were skipped", found.notices[0])


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_changed_byte_of_ogg_is_told_of(record, place):
    path = record("a.opus", "libopus", 48_000, samples=np.random.default_rng(0).normal(0, 0.1, 48_000 * 30))
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)
    found = decode_audio(path)
    assert "pages are damaged and were skipped" in found.notices[0]
    assert found.samples.size / 16_000 == pytest.approx(30.0, abs=1.1)


@pytest.mark.parametrize("rate", [1, 8, 100, 2_113_152, 100_000_007])
def test_rates_that_no_recorder_has(tmp_path, rate):
    path = tmp_path / "a.wav"
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    body = b"WAVE" + header + struct.pack("<4sI", b"data", 20_000) + bytes([128]) * 20_000
    path.write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    with pytest.raises(AudioError, match=rf"a\.wav: states a rate of {rate} Hz"):
        load_audio(path)


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "libmp3lame")])
def test_the_length_is_capped(record, name, codec):
    path = record(name, codec, 44_100)
    assert load_audio(path, longest_s=3.1).size / 16_000 == pytest.approx(3.0, abs=0.05)
    with pytest.raises(AudioError, match=rf"{name}: lasts over 2 s.*--max-audio-s"):
        load_audio(path, longest_s=2.0)
    assert load_audio(path, offset_s=1.0, duration_s=1.5, longest_s=2.0).size == 24_000


def crc(data, polynomial, bits):
    """Bit by bit, zero at first, bits not reversed."""
    total = 0
    for byte in data:
        total ^= byte << (bits - 8)
        for _ in range(8):
            total = (total << 1) ^ (polynomial if total >> (bits - 1) else 0)
            total &= (1 << bits) - 1
    return total.to_bytes(bits // 8, "big")


def constant_flac(n_frames):
    """FLAC of silence in the longest frames: 65,535 samples of 8 kHz, 8.2 s, in 13 to 15 bytes."""
    numbers = (8000 << 44) | (15 << 36) | (n_frames * 65_535)  # rate, one channel, 16 bits, samples
    stream = struct.pack(">HH", 65_535, 65_535) + bytes(6) + numbers.to_bytes(8, "big") + bytes(16)
    frames = b""
    for number in range(n_frames):
        head = b"\xff\xf8\x74\x08" + chr(number).encode("utf-8") + struct.pack(">H", 65_534)
        head += crc(head, 0x07, 8)
        frame = head + b"\0\0\0"  # one constant subframe of zeros
        frames += frame + crc(frame, 0x8005, 16)
    return b"fLaC\x80" + len(stream).to_bytes(3, "big") + stream + frames


def test_few_bytes_do_not_hold_hours(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(constant_flac(60))  # 491 s
    assert load_audio(path).size == 60 * 65_535 * 2
    path.write_bytes(constant_flac(1000))  # 2.3 h
    assert path.stat().st_size < 16_000
    with pytest.raises(AudioError, match=r"a\.flac: \d+ bytes claim to hold over \d+ s of sound"):
        load_audio(path)


SOUND = np.concatenate([np.zeros(8_000), 0.5 * np.sin(np.arange(40_000) / 20)])


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
@pytest.mark.parametrize(("right", "side"), [(-1.0, "left"), (-0.98, "left"), (-1.02, "right")])
def test_channels_that_cancel(tmp_path, codec, right, side):
    channels = np.stack([SOUND, right * SOUND]).astype(np.float32)
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout="stereo")
        frame.sample_rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    found = decode_audio(path)
    np.testing.assert_allclose(found.samples, SOUND if side == "left" else right * SOUND, atol=2 / 32768)
    assert found.notices == (f"its channels cancel each other out when mixed; the {side} one is taken alone",)


@pytest.mark.parametrize("right", [1.0, 0.0, -0.5])
def test_channels_that_do_not_cancel(tmp_path, right):
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            np.stack([0.02 * SOUND, right * 0.02 * SOUND]).astype(np.float32), format="fltp", layout="stereo"
        )
        frame.sample_rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    found = decode_audio(path)
    np.testing.assert_allclose(found.samples, (1 + right) / 2 * 0.02 * SOUND, atol=2 / 32768)
    assert found.notices == ()


def test_silence_on_two_channels_is_silence(record):
    found = decode_audio(record("a.wav", "pcm_s16le", 16_000, "stereo", samples=np.zeros(16_000)))
    assert (found.samples.any(), found.notices) == (False, ())


def chirp(rate, seconds=8.0):
    time = np.arange(round(rate * seconds)) / rate
    return 0.5 * np.sin(2 * np.pi * (200 * time + 100 * time**2))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s16le"),
        ("a.flac", "flac"),
        ("a.mp3", "libmp3lame"),
        ("a.m4a", "aac"),
        ("a.aac", "aac"),
        ("a.opus", "libopus"),
        ("a.webm", "libopus"),
        ("a.mka", "flac"),
        ("a.aiff", "pcm_s16be"),
        ("a.caf", "pcm_s16be"),
        ("a.w64", "pcm_s16le"),
    ],
)
@pytest.mark.parametrize(("offset_s", "duration_s"), [(0.0, 1.0), (0.5, 2.0), (3.3, 1.25), (6.0, None)])
def test_a_part_is_the_same_samples_as_in_the_whole(record, name, codec, offset_s, duration_s):
    path = record(name, codec, 48_000, samples=chirp(48_000))
    whole = load_audio(path)
    part = load_audio(path, offset_s=offset_s, duration_s=duration_s)
    begin = round(offset_s * 16_000)
    wanted = whole[begin : None if duration_s is None else begin + round(duration_s * 16_000)]
    assert part.size == pytest.approx(wanted.size, abs=16)
    # Matroska rounds time stamps to 1 ms, 16 samples; AAC fills some bands with noise.
    middle = wanted[800 : min(part.size, wanted.size) - 800]
    errors = [part[800 + shift :][: middle.size] - middle for shift in range(-16, 17)]
    assert min(np.sqrt(np.mean(error**2)) for error in errors) < 0.2 * np.sqrt(np.mean(middle**2))


@pytest.mark.parametrize(
    ("offset_s", "duration_s", "message"),
    [
        (3.5, 1.0, r"ends at 3\.00 s, before the offset 3\.5 s"),
        (9.0, None, r"ends (at 3\.00 s, )?before the offset 9 s"),
        (1.0, 4.0, r"ends at 3\.00 s, before 5 s \(offset and duration\)"),
        (1.0, 1e-9, r"no sample from 1 s on"),
    ],
)
@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac")])
def test_parts_that_are_not_there(record, name, codec, offset_s, duration_s, message):
    with pytest.raises(AudioError, match=f"{name}: {message}"):
        load_audio(record(name, codec, 16_000), offset_s=offset_s, duration_s=duration_s)


def test_a_part_may_end_a_little_behind_the_end(record):
    assert load_audio(record("a.wav", "pcm_s16le", 16_000), offset_s=2.0, duration_s=1.2).size == 16_000


@pytest.mark.parametrize(
    "name", ["2024-08-20T13:28:35Z.wav", "-x.wav", "%03d.wav", "a b.wav", "[x]?.wav", "http:a.wav", "字.wav"]
)
def test_names_in_which_ffmpeg_would_read_something(record, tmp_path, monkeypatch, name):
    record("a.wav", "pcm_s16le", 16_000).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert load_audio(Path(name)).size == 48_000
    assert load_audio(tmp_path / name).size == 48_000


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.m4a", "aac"), ("a.opus", "libopus")])
def test_a_pipe_is_read_to_its_end(record, tmp_path, name, codec):
    content = record(name, codec, 48_000).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    found = decode_audio(pipe, pipes=True)
    writer.join()
    np.testing.assert_array_equal(found.samples, load_audio(tmp_path / name))


def test_a_pipe_that_may_not_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AudioError, match=r"pipe: is a pipe, which can be read once only"):
        load_audio(tmp_path / "pipe")


def test_a_pipe_that_never_ends(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write():
        with suppress(BrokenPipeError), pipe.open("wb") as file:
            while True:
                file.write(bytes(1 << 20))

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(AudioError, match=r"pipe: the pipe goes on after 10 s worth of audio"):
        decode_audio(pipe, pipes=True, longest_s=10.0)
    writer.join()


def test_devices_are_no_recordings():
    with pytest.raises(AudioError, match=r"/dev/zero: is neither a file nor a pipe"):
        decode_audio(Path("/dev/zero"), pipes=True)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.opus", "libopus")],
)
def test_no_damage_is_anything_but_an_error_of_the_recording(record, name, codec):
    content = record(name, codec, 16_000, duration_s=1.0).read_bytes()
    rng = np.random.default_rng(len(content))
    path = record(name, codec, 16_000)
    refusals = []
    for trial in range(60):
        data = bytearray(content)
        for place in rng.integers(0, 200 if trial % 2 else len(data), 1 + trial % 5):
            data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data[: int(rng.integers(1, len(data) + 1)) if trial % 3 == 0 else None])
        try:
            assert np.isfinite(load_audio(path)).all()
        except AudioError as error:
            refusals.append(str(error))
    assert len(refusals) > 5
    assert all(name in refusal and "cannot be processed" not in refusal for refusal in refusals)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_hour_takes_little_more_than_its_samples(record):
    hour = np.sin(np.arange(3_600 * 8_000, dtype=np.float32) / 20)
    path = record("hour.flac", "flac", 8_000, samples=hour)
    # In a process of its own, with av and NumPy in memory before the measurement.
    code = f"""
import av, numpy
from pathlib import Path
from allophone.audio.decode import load_audio
from allophone.measure.memory import resident_bytes
before = resident_bytes()
samples = load_audio(Path({str(path)!r}))
print(samples.size, resident_bytes("VmHWM") - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    size, growth_bytes = map(int, done.stdout.split())
    assert size == 57_600_000  # 3,600 s of 16,000
    assert growth_bytes < 1.2 * 4 * size  # float32: 230 MB
