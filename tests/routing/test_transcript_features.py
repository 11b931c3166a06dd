import numpy as np
import pytest

from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.routing.transcript_features import (
    READING_FEATURES,
    TranscriptFeatures,
    pair_features,
    reading_features,
    transcript_reading,
)
from allophone.transcription.recording import transcribe_points
from builders import tone

SURE = TranscriptFeatures("one two three", 3.0, 4, 0, -0.1, 0.01, 1.1, [-0.1] * 4, [0.2] * 4)


def named(reading):
    return dict(zip(READING_FEATURES, reading_features(reading).tolist(), strict=True))


def test_features_have_a_name_each_and_count_what_they_say():
    doubtful = TranscriptFeatures(
        "a b a b a", 2.0, 4, 1, -1.0, 0.5, 2.5, [-3.0, -0.8, -0.1, -0.1], [2.0, 1.0, 0.1, 0.1]
    )
    found = named(doubtful)
    # 1 - e^-3, 1 - e^-0.8 and twice 1 - e^-0.1
    assert found["doubt_sum"] == pytest.approx(0.9502 + 0.5507 + 2 * 0.0952, abs=1e-3)
    assert (found["min_logprob"], found["last_logprobs"]) == pytest.approx((-3, -1 / 3))
    assert found["tokens_per_s"] == 2
    assert found["entropy_sum"] == pytest.approx(3.2)
    # word pairs ab ba ab ba: two different of four
    assert found["repeated_share"] == 0.5
    assert found["truncated"] == 1


def test_silence_and_beams_have_features_too():
    silence = TranscriptFeatures("", 0.0, 0, 0, None, None, None, [], [])
    assert np.isfinite(reading_features(silence)).all()
    beams = named(TranscriptFeatures("one two", 2.0, 3, 0, -0.5, 0.0, 1.0, [], []))
    assert beams["min_logprob"] == beams["avg_logprob"] == -0.5


def test_infinite_log_probabilities_stay_finite():
    assert np.isfinite(
        reading_features(TranscriptFeatures("a", 1.0, 1, 0, -np.inf, 0.0, 1.0, [-np.inf], [np.inf]))
    ).all()


@pytest.mark.parametrize(
    ("other", "edits", "share"),
    [("one two three", 0, 0), ("one too three four", 2, 0.5), ("", 3, 1), ("One TWO three", 0, 0)],
)
def test_a_pair_knows_how_far_its_texts_agree(other, edits, share):
    from dataclasses import replace

    found = pair_features(SURE, replace(SURE, text=other))
    assert found.shape == (3 * len(READING_FEATURES) + 3,)
    assert found[-3:-1] == pytest.approx([edits, share])


def test_a_transcript_reads_as_its_ledger_row_would():
    point = OperatingPoint(model="fake:tiny")
    transcript = transcribe_points(FakeEngine("tiny"), tone(2.0, 1), [point], confidence=True)[0]
    found = transcript_reading(transcript)
    segment = transcript.segments[0]
    assert found.tokens == segment.token_count == len(found.token_logprobs)
    assert found.avg_logprob == pytest.approx(segment.avg_logprob)
    assert found.duration_s == 2.0
