"""Batches: what they cost on the fake engine, and that they change nothing on the real tiny.en."""

import pytest

from allophone.audio.mel import context_frames
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.transcription.windows import DecodeExtras, Window, compression_ratio, decode_once, encode_windows

FIT = OperatingPoint(model="fake:tiny", context="fit", margin_s=1.0, tail="last-1")


def window(samples):
    return Window(samples, 0.0, samples.size / 16_000)


def run(engine, windows, point, **extras):
    encoded = encode_windows(engine, windows, max(context_frames(one.audio.size, point) for one in windows))
    return decode_once(engine, windows, encoded, point, ["en"] * len(windows), DecodeExtras(**extras))


def test_a_batch_runs_on_the_frames_of_its_longest_and_shares_its_time(speech):
    windows = [window(recording.samples) for recording in speech[:3]]
    frames = max(context_frames(one.audio.size, FIT) for one in windows)
    encoded = encode_windows(FakeEngine("tiny"), windows, frames)
    assert encoded.output.shape == (3, frames // 2)
    segments = decode_once(FakeEngine("tiny"), windows, encoded, FIT, ["en"] * 3, DecodeExtras())
    assert [segment.frames for segment in segments] == [frames] * 3
    assert [segment.tail_tokens for segment in segments] == [1] * 3
    assert [segment.encode_s for segment in segments] == [encoded.encode_s] * 3
    assert [segment.end_s for segment in segments] == [one.end_s for one in windows]


def test_equal_lengths_give_equal_tokens_in_a_batch(tiny_en, speech):
    size = min(recording.samples.size for recording in speech[:4])
    windows = [window(recording.samples[:size]) for recording in speech[:4]]
    for point in (FIT.model_copy(update={"tail": "every-4"}), FIT.model_copy(update={"token_stride": 2})):
        together = run(tiny_en, windows, point, words=True, confidence=True)
        for one, segment in zip(windows, together, strict=True):
            (alone,) = run(tiny_en, [one], point, words=True, confidence=True)
            assert segment.tokens == alone.tokens
            assert (segment.frames, segment.tail_tokens) == (alone.frames, alone.tail_tokens)
            assert segment.avg_logprob == pytest.approx(alone.avg_logprob, abs=1e-3)
            assert segment.no_speech_prob == pytest.approx(alone.no_speech_prob, abs=1e-3)
            assert segment.token_logprobs == pytest.approx(alone.token_logprobs, abs=1e-2)
            assert [word.text for word in segment.words] == [word.text for word in alone.words]
            starts = [word.start_s for word in alone.words]
            assert [word.start_s for word in segment.words] == pytest.approx(starts, abs=0.021)


def test_beams_run_in_batches(tiny_en, speech):
    windows = [window(recording.samples) for recording in speech[:2]]
    point = FIT.model_copy(update={"beam_size": 2})
    found = run(tiny_en, windows, point)
    assert [segment.text for segment in found] == [recording.text for recording in speech[:2]]


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("", 0.0),
        ("a", 1 / 9),  # zlib: 2 bytes of header, 4 of checksum, 3 of data
    ],
)
def test_the_compression_ratio_of_short_texts(text, ratio):
    assert compression_ratio(text) == pytest.approx(ratio)


def test_loops_compress_beyond_what_speech_does():
    assert compression_ratio("We walked along the river until it was dark.") < 2.4 < compression_ratio("so " * 100)
