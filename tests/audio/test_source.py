"""Bytes in memory as a source; files and pipes are tested with what decodes them."""

from io import BytesIO

import pytest

from allophone.audio.decode import decode_audio
from allophone.errors import AudioError, AudioTooLongError
from builders import tone, write_wav


def test_a_playlist_in_memory_reads_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a name that stands alone would be looked for
    write_wav(tmp_path / "secret.wav", tone(1.0, 1))
    playlist = b"ffconcat version 1.0\nfile secret.wav\n"
    with pytest.raises(AudioError, match="not readable"):
        decode_audio(BytesIO(playlist))


def test_bytes_in_memory_decode_as_the_file_does(tmp_path):
    path = write_wav(tmp_path / "a.wav", tone(1.0, 1))
    found = decode_audio(BytesIO(path.read_bytes()))
    assert (found.samples == decode_audio(path).samples).all()
    assert found.name == "file"


def test_too_long_is_an_error_of_its_own(tmp_path):
    path = write_wav(tmp_path / "a.wav", tone(2.0, 1))
    for recording in (path, BytesIO(path.read_bytes())):
        with pytest.raises(AudioTooLongError):
            decode_audio(recording, longest_s=1.0)
