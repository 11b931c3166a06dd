"""A point behind the service: windows that share batches keep apart."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from allophone.records.point import OperatingPoint
from allophone.serve.served_point import ServedPoint
from allophone.transcription.transcriber import Transcriber
from builders import write_wav
from serve_live import fake_point, live_server, sound


def test_speech_and_silence_interleaved_keep_apart(tmp_path):
    files = [
        write_wav(tmp_path / f"{n}.wav", np.zeros(32_000, np.float32) if n % 3 == 0 else sound(2.0 + n % 4, n))
        for n in range(12)
    ]
    with live_server() as live:
        ask = live.client().audio.transcriptions.create
        one_by_one = [ask(model="whisper-1", file=file).text for file in files]
        with ThreadPoolExecutor(12) as pool:
            at_once = list(pool.map(lambda file: ask(model="whisper-1", file=file).text, files))
    assert at_once == one_by_one
    assert [not text for text in at_once] == [n % 3 == 0 for n in range(12)]


def test_a_language_is_told_from_the_first_window(speech, tmp_path):
    served = ServedPoint(Transcriber(OperatingPoint(model="fake:tiny"), language="auto"), None, 2)
    audio = write_wav(tmp_path / "a.wav", np.concatenate([one.samples for one in (*speech, *speech)]))
    with live_server(served) as live:
        found = live.client().audio.transcriptions.create(model="whisper-1", file=audio, response_format="verbose_json")
    assert len(found.segments) > 1
    assert found.language == "english"


@pytest.mark.parametrize("name", ["whisper-1", "allophone", "fake:tiny.en", "tiny.en, short context"])
def test_a_point_answers_to_its_names(name):
    served = fake_point()
    names = (served.name, served.point.title, "whisper-1", "allophone", "fake:tiny.en")
    if name in names:
        assert served.threshold_of(name) is None
    else:
        with pytest.raises(LookupError):
            served.threshold_of(name)
