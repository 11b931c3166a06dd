import subprocess
import sys

import av
import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from allophone.audio.decode import AUDIO_SUFFIXES, load_audio
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
    np.testing.assert_array_equal(load_audio(path), decode_audio(str(path)))


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
    load_audio(record("a.wav", "pcm_s16le", 16_000))[0] = 0.0


def test_suffixes_are_those_that_folders_are_searched_for():
    assert {".wav", ".flac", ".mp3", ".m4a", ".opus", ".ogg", ".webm"} <= AUDIO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)


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


def test_a_hole_of_zeros_is_damage(record):
    path = record("a.mp3", "libmp3lame", 44_100)
    data = bytearray(path.read_bytes())
    data[20_000:24_000] = bytes(4_000)
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
