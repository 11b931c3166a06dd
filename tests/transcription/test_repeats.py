"""Repetition loops: where they are, whether anybody said them, and what is left when they are cut."""

import numpy as np
import pytest

from allophone.audio.decode import load_audio
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.records.transcript import Segment, Word
from allophone.transcription.recording import transcribe_points
from allophone.transcription.repeats import count_supported, cut_repeats, longest_run


@pytest.mark.parametrize(
    ("text", "count", "units", "tail"),
    [
        ("", 1, 0, ""),
        ("One after another.", 1, 0, ""),
        ("Stop it. Stop it! STOP IT, then.", 3, 2, "then."),
        ("or, or, or, or", 4, 1, ""),
        ("I see. I see. I see. I", 3, 2, ""),  # broken off in the fourth
        ("No a b a b a b c c", 3, 2, "c c"),
        ("a" * 30, 30, 1, ""),  # one long word is read by letters
        ("ha" * 12 + " well", 12, 2, "well"),
        ("é é É é é", 5, 1, ""),
    ],
)
def test_the_phrase_that_is_repeated_most(text, count, units, tail):
    run = longest_run(text)
    assert (run.count, run.units if count > 1 else 0) == (count, units)
    assert text[run.end :] == tail


def spoken(text, step_s, from_s=0.0):
    """Words of one length each, as the aligner gives them."""
    return [
        Word(f" {word}", from_s + index * step_s, from_s + (index + 1) * step_s, 1.0)
        for index, word in enumerate(text.split())
    ]


def test_repeats_that_take_time_were_said_and_those_without_any_were_not():
    text = "Stop it, " * 8
    run = longest_run(text.strip())
    assert count_supported(run, spoken(text, 0.3)) == 8
    assert count_supported(run, spoken(text, 0.1)) == 1  # 0.2 s for two words: nobody is that fast, but one was said
    said = spoken("Stop it, " * 3, 0.3)
    crammed = [Word(word.text, 1.8, 1.8, 1.0) for word in spoken("Stop it, " * 5, 0.3)]
    assert count_supported(run, [*said, *crammed]) == 3
    assert count_supported(run, []) == 1


def segment(engine, tokens, words=()):
    numbers = tuple(float(index) for index in range(len(tokens) + 1))
    return Segment(
        *(0.0, 4.0, engine.text_of(tokens), tuple(tokens), len(tokens) + 1, 400, 0, -0.1, 0.0, 3.0, True, 0.1, 0.1),
        words=tuple(words),
        token_logprobs=numbers,
        token_entropies=numbers,
    )


@pytest.mark.parametrize("keep", [1, 3])
def test_text_tokens_words_and_confidence_are_cut_alike(keep):
    engine = FakeEngine("tiny")
    tokens = [0, *[1, 2] * 6, 3]
    whole = segment(engine, tokens, spoken(engine.text_of(tokens), 0.1))
    kept = cut_repeats(engine, whole, longest_run(whole.text), keep)
    assert kept.tokens == (0, *(1, 2) * keep, 3)
    assert kept.text == engine.text_of(kept.tokens)
    assert [word.text.strip() for word in kept.words] == kept.text.split()
    assert kept.token_logprobs == (*range(1 + 2 * keep), 13.0, 14.0) == kept.token_entropies
    assert kept.compression_ratio < 3.0
    assert kept.token_count == whole.token_count  # what was generated is paid for


def test_a_loop_that_was_broken_off_leaves_nothing_behind():
    engine = FakeEngine("tiny")
    whole = segment(engine, [0, *[1, 2, 3] * 5, 1, 2])
    kept = cut_repeats(engine, whole, longest_run(whole.text), 2)
    assert kept.tokens == (0, *(1, 2, 3) * 2)
    assert kept.text == engine.text_of(kept.tokens)


HARD = "speechocean762-train/audio"
WITHOUT_TAIL = OperatingPoint(model="tiny.en", context="fit", margin_s=1, guard=True)
LEARNED = OperatingPoint(model="tiny.en", context="fit", margin_s=1, tail="learned", guard=True, beam_size=5)


@pytest.mark.real_data
def test_a_real_loop_does_not_leave(tiny_en, real_speech):
    audio = load_audio(real_speech / HARD / "096450006.opus")
    unguarded = WITHOUT_TAIL.model_copy(update={"guard": False})
    guarded, loop = transcribe_points(tiny_en, audio, [WITHOUT_TAIL, unguarded])
    assert longest_run(loop.text).count > 10  # "to be able to be able to be able ..."
    assert longest_run(guarded.text).count <= 4
    first, *again = guarded.passes
    assert first.text == loop.text
    assert [passed.frames for passed in again] == [0]  # behind the whole tail, over the encoder's output that was there
    assert guarded.encode_s < 2 * loop.encode_s


@pytest.mark.real_data
@pytest.mark.parametrize("point", [WITHOUT_TAIL, LEARNED], ids=["no tail", "learned tail"])
def test_what_people_say_again_and_again_stays(tiny_en, real_speech, point):
    audio = load_audio(real_speech / HARD / "020220264.opus")
    pause = np.zeros(3200, np.float32)
    (transcript,) = transcribe_points(tiny_en, np.concatenate([audio, pause] * 6), [point])
    assert longest_run(transcript.text).count >= 6
