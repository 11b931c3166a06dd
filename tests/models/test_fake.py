import numpy as np
import pytest

from allophone.audio.mel import log_mel
from allophone.measure.wer import count_word_errors
from allophone.models.fake import FakeEngine
from builders import tone


def hear(engine, samples, **knobs):
    mel = log_mel(samples, 3000, engine.dimensions.n_mels)
    knobs = {"token_stride": 1, "beam_size": 1, "max_tokens": 200, "language": "en", **knobs}
    return engine.decode(engine.encode(mel), **knobs)


def errors(name, **knobs):
    """Word errors on 80 s of tones against the faultless engine."""
    total = 0
    for seed in range(8):
        samples = tone(10.0, seed)
        said = hear(FakeEngine(name, perfect=True), samples).text
        total += count_word_errors(said, hear(FakeEngine(name), samples, **knobs).text).errors
    return total


def test_one_word_for_every_four_tenths_of_a_second():
    assert len(hear(FakeEngine("tiny", perfect=True), tone(10.0, 1)).text.split()) == 25  # 10 / 0.4


def test_the_same_audio_is_always_heard_alike():
    assert hear(FakeEngine("tiny"), tone(5.0, 1)) == hear(FakeEngine("tiny"), tone(5.0, 1))
    assert hear(FakeEngine("tiny"), tone(5.0, 1)).text != hear(FakeEngine("tiny"), tone(5.0, 2)).text


def test_smaller_models_and_coarser_strides_mishear_more():
    assert errors("tiny") > errors("small") > 0
    assert errors("tiny", token_stride=4) > errors("tiny", token_stride=2) > errors("tiny")


def test_silence_has_no_words():
    heard = hear(FakeEngine("tiny"), np.zeros(16_000, np.float32))
    assert (heard.text, heard.tokens, heard.token_count, heard.no_speech_prob) == ("", (), 1, 1.0)


def test_the_cap_cuts_and_is_told():
    heard = hear(FakeEngine("tiny"), tone(10.0, 1), max_tokens=3)
    assert (len(heard.tokens), heard.token_count, heard.truncated) == (3, 3, True)
    assert not hear(FakeEngine("tiny"), tone(10.0, 1)).truncated


def test_the_context_does_not_change_the_words():
    engine, samples = FakeEngine("tiny"), tone(5.0, 3)
    knobs = {"token_stride": 1, "beam_size": 1, "max_tokens": 200, "language": "en"}
    full, fit = (engine.decode(engine.encode(log_mel(samples, frames, 80)), **knobs) for frames in (3000, 600))
    assert full.text == fit.text


def test_words_lie_in_order():
    engine = FakeEngine("tiny")
    encoded = engine.encode(log_mel(tone(2.0, 1), 3000, 80))
    heard = engine.decode(encoded, token_stride=1, beam_size=1, max_tokens=200, language="en")
    words = engine.align(encoded, heard.tokens, token_stride=1, language="en")
    assert "".join(word.text for word in words).strip() == heard.text
    assert [word.start_s for word in words] == pytest.approx([0.4 * index for index in range(len(words))])


@pytest.mark.parametrize(("name", "tokens"), [("tiny.en", 2), ("tiny", 4)])
def test_prompts_are_as_long_as_the_real_ones(name, tokens):
    engine = FakeEngine(name)
    assert engine.prompt_tokens("en") == tokens
    assert engine.detect_language(None) == "en"
