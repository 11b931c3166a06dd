"""Many recordings at once: order, bounds and bad ones on the fake engine; agreement with one at a time on tiny.en."""

import threading
import time
from functools import partial

import numpy as np
import pytest

from allophone.audio.decode import DecodedAudio, load_audio
from allophone.corpora.corpus import open_corpus
from allophone.errors import AudioError, UsageError
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.transcription.pipeline import transcribe_stream
from allophone.transcription.recording import transcribe_points
from builders import tone

FIT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1.0)
LENGTHS = [1.0, 4.0, 1.2, 3.0, 1.1, 2.0, 4.5, 1.0, 2.2, 3.1]
TONES = [tone(length, seed) for seed, length in enumerate(LENGTHS)]
LAYOUTS = [(1, 1), (3, 1), (1, 4), (3, 4)]


def decoded(samples, notices=()):
    return DecodedAudio(np.copy(samples), notices, "a.wav")


def given(samples):
    return [partial(decoded, one) for one in samples]


def unreadable():
    raise AudioError("bad.wav: damaged.")


@pytest.mark.parametrize(("jobs", "batch_size"), LAYOUTS)
def test_transcripts_come_in_order_and_equal_those_made_alone(jobs, batch_size):
    engine = FakeEngine("tiny")
    alone = [transcribe_points(engine, samples, [FIT])[0] for samples in TONES]
    found = list(transcribe_stream(engine, given(TONES), FIT, jobs=jobs, batch_size=batch_size))
    assert [one.text for one in found] == [one.text for one in alone]
    assert [one.duration_s for one in found] == [one.duration_s for one in alone]
    for one, other in zip(found, alone, strict=True):
        (segment,), (by_itself,) = one.segments, other.segments
        assert by_itself.frames <= segment.frames <= 1.25 * by_itself.frames
        assert batch_size > 1 or segment.frames == by_itself.frames
        assert one.prepare_s > 0
        assert one.encode_s > 0
        assert one.decode_s > 0


@pytest.mark.parametrize(("jobs", "batch_size"), LAYOUTS)
def test_a_bad_recording_touches_no_other(jobs, batch_size):
    engine = FakeEngine("tiny")
    loads = given(TONES)
    loads[4:4] = [unreadable]
    found = list(transcribe_stream(engine, loads, FIT, jobs=jobs, batch_size=batch_size))
    assert str(found.pop(4)) == "bad.wav: damaged."
    assert [one.text for one in found] == [transcribe_points(engine, samples, [FIT])[0].text for samples in TONES]


class Fails(FakeEngine):
    """Raises at windows in which a sample is as loud as it can be."""

    def __init__(self, name, error):
        super().__init__(name)
        self.error = error

    def prepare(self, samples, frames):
        if np.abs(samples).max(initial=0.0) >= 1.0:
            raise self.error
        return super().prepare(samples, frames)


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError(), ZeroDivisionError("division by zero")])
@pytest.mark.parametrize(("jobs", "batch_size"), LAYOUTS)
def test_what_the_engine_raises_at_a_recording_touches_no_other(jobs, batch_size, error):
    samples = [np.copy(one) for one in TONES]
    samples[3][1000], samples[7][0] = 1.0, -1.0
    found = list(transcribe_stream(Fails("tiny", error), given(samples), FIT, jobs=jobs, batch_size=batch_size))
    assert [place for place, one in enumerate(found) if isinstance(one, AudioError)] == [3, 7]
    assert str(found[3]).startswith("a.wav: ")
    engine = FakeEngine("tiny")
    for place in {*range(len(TONES))} - {3, 7}:
        assert found[place].text == transcribe_points(engine, TONES[place], [FIT])[0].text


@pytest.mark.parametrize("language", ["en", "auto"])
def test_a_window_that_fails_fails_its_recording_alone(speech, language):
    point = OperatingPoint(model="fake:tiny", window_s=6.0, context="fit")
    pause = np.zeros(8_000, np.float32)
    long = np.concatenate([part for one in speech for part in (0.9 * one.samples, pause)])
    bad = np.copy(long)
    bad[np.abs(long[200_000:240_000]).argmax() + 200_000] = 1.0
    engine = Fails("tiny", RuntimeError("no"))
    found = list(transcribe_stream(engine, given([long, bad, long]), point, language=language, jobs=2, batch_size=2))
    assert [isinstance(one, AudioError) for one in found] == [False, True, False]
    assert len(found[0].segments) > 3
    assert found[0].text == found[2].text != ""


@pytest.mark.parametrize("error", [RuntimeError("disk"), OSError(5, "Input/output error"), UnicodeError("bytes")])
def test_what_reading_raises_touches_no_other(error):
    def load():
        raise error

    loads = given(TONES[:2])
    loads[1:1] = [load]
    found = list(transcribe_stream(FakeEngine("tiny"), loads, FIT))
    assert [isinstance(one, AudioError) for one in found] == [False, True, False]
    assert "cannot be processed" in str(found[1])


def test_notices_stay_with_their_recording():
    loads = [partial(decoded, TONES[0], ("odd",)), partial(decoded, TONES[1])]
    assert [one.notices for one in transcribe_stream(FakeEngine("tiny"), loads, FIT)] == [("odd",), ()]


@pytest.mark.parametrize("loads", [[], [unreadable], [partial(decoded, np.zeros(0, np.float32))] * 3])
def test_where_nothing_is_to_be_run(loads):
    found = list(transcribe_stream(FakeEngine("tiny"), loads, FIT, language="auto", jobs=2, batch_size=4))
    assert len(found) == len(loads)
    assert all(isinstance(one, AudioError) or (one.text, one.language) == ("", "en") for one in found)


@pytest.mark.parametrize(("jobs", "batch_size"), LAYOUTS)
def test_no_more_is_read_than_there_is_room_for(jobs, batch_size):
    read, room = [], 4 * jobs * batch_size

    def load(index):
        read.append(index)
        return decoded(TONES[0])

    stream = transcribe_stream(
        FakeEngine("tiny"), (partial(load, index) for index in range(500)), FIT, jobs=jobs, batch_size=batch_size
    )
    for done, _ in enumerate(stream):
        assert len(read) <= done + room
        if done == 60:
            break
    stream.close()
    assert len(read) <= 61 + room


def test_a_slow_recording_holds_the_others_back_without_filling_memory():
    read, slow = [], threading.Event()

    def load(index):
        read.append(index)
        if index == 0:
            slow.wait(2.0)
        return decoded(TONES[0])

    stream = transcribe_stream(FakeEngine("tiny"), (partial(load, index) for index in range(200)), FIT, jobs=2)
    threading.Timer(0.5, slow.set).start()
    next(stream)
    assert 2 <= len(read) <= 1 + 4 * 2
    assert len(list(stream)) == 199


def test_batches_hold_windows_of_similar_length_from_different_recordings():
    engine, shapes = FakeEngine("tiny"), []
    encode = engine.encode
    engine.encode = lambda mel: shapes.append(mel.shape) or encode(mel)
    list(transcribe_stream(engine, given([*TONES] * 4), FIT, batch_size=4))
    sizes = [shape[0] if len(shape) == 3 else 1 for shape in shapes]
    assert sum(sizes) == 40
    assert max(sizes) == 4
    assert len(sizes) <= 16  # ten full batches would do; lengths 1 to 4.5 s need a few more


def test_each_recording_is_told_its_language_from_its_first_window(speech):
    class Tells(FakeEngine):
        def detect_language(self, encoded):
            seen.append(encoded.shape)
            return "de" if encoded.shape[1] > 150 else "fr"

    seen = []
    pause = np.zeros(8_000, np.float32)
    long = np.concatenate([part for one in speech for part in (one.samples, pause)])
    point = OperatingPoint(model="fake:tiny", window_s=6.0, context="fit", margin_s=1.0)
    found = list(
        transcribe_stream(Tells("tiny"), given([TONES[0], long, TONES[2]]), point, language="auto", batch_size=3)
    )
    assert [one.language for one in found] == ["fr", "de", "fr"]
    assert len(found[1].segments) > 3
    assert len(seen) == 3
    assert all(shape[0] == 1 for shape in seen)


@pytest.mark.parametrize(("jobs", "batch_size"), LAYOUTS)
def test_the_windows_of_a_long_recording_stay_in_order(speech, jobs, batch_size):
    pause = np.zeros(8_000, np.float32)
    long = np.concatenate([part for one in speech * 2 for part in (one.samples, pause)])
    point = OperatingPoint(model="fake:tiny", window_s=6.0, context="fit")
    engine = FakeEngine("tiny")
    (alone,) = transcribe_points(engine, long, [point])
    (found,) = transcribe_stream(engine, given([long]), point, jobs=jobs, batch_size=batch_size)
    assert [(one.start_s, one.end_s, one.text) for one in found.segments] == [
        (one.start_s, one.end_s, one.text) for one in alone.segments
    ]
    assert found.text == alone.text


def test_passes_run_side_by_side():
    running, most = [], []

    class Watched(FakeEngine):
        def decode_batch(self, encoded, **knobs):
            running.append(1)
            most.append(len(running))
            time.sleep(0.02)
            running.pop()
            return super().decode_batch(encoded, **knobs)

    list(transcribe_stream(Watched("tiny"), given(TONES), FIT, jobs=3))
    assert max(most) in (2, 3)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, GeneratorExit])
def test_stopping_starts_nothing_more(stop):
    started = []

    class Slow(FakeEngine):
        def encode(self, mel):
            started.append(mel.shape)
            time.sleep(0.05)
            return super().encode(mel)

    stream = transcribe_stream(Slow("tiny"), given(TONES * 5), FIT, jobs=2)
    next(stream)
    began = time.monotonic()
    with pytest.raises(stop):
        stream.throw(stop)
    assert time.monotonic() - began < 0.5
    time.sleep(0.2)
    before = len(started)
    time.sleep(0.2)
    assert len(started) == before < 20


def test_what_no_recording_is_to_blame_for_is_raised(tiny_en, speech):
    point = FIT.model_copy(update={"model": "tiny.en"})
    with pytest.raises(UsageError, match="language 'de': this model knows English only"):
        list(transcribe_stream(tiny_en, given([speech[0].samples]), point, language="de"))


@pytest.mark.parametrize("batch_size", [1, 4])
def test_real_sentences_are_recognised_in_any_layout(tiny_en, speech, batch_size):
    point = OperatingPoint(model="tiny.en", context="fit", margin_s=1.0, tail="all", guard=True)
    silence = np.zeros(32_000, np.float32)
    samples = [*(one.samples for one in speech), silence]
    found = list(transcribe_stream(tiny_en, given(samples), point, jobs=2, batch_size=batch_size))
    assert [one.text for one in found] == [*(one.text for one in speech), ""]


@pytest.mark.real_data
@pytest.mark.slow
def test_batches_of_unequal_length_agree_with_one_at_a_time(tiny_en, real_speech):
    utterances = list(open_corpus(real_speech / "librispeech-train-clean-5"))[::200][:7]
    samples = [load_audio(utterance.audio_filepath) for utterance in utterances]
    point = OperatingPoint(model="tiny.en", context="fit", margin_s=1.0, tail="all")
    alone = [transcribe_points(tiny_en, one, [point])[0] for one in samples]
    found = list(transcribe_stream(tiny_en, given(samples), point, batch_size=4))
    assert any(a.segments[0].frames < b.segments[0].frames for a, b in zip(alone, found, strict=True))
    same = sum(a.segments[0].tokens == b.segments[0].tokens for a, b in zip(alone, found, strict=True))
    assert same >= 6  # a longer margin may change a word
