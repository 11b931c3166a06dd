"""The figures that docs/conventions.md quotes, computed again."""

from pathlib import Path

import pytest

from allophone.costs import reproduce, select_between, speech_flops, whisper_flops
from allophone.dimensions.speech_encoders import dimensions
from allophone.dimensions.whisper import whisper_dimensions

PAGE = " ".join((Path(__file__).parents[2] / "docs/conventions.md").read_text(encoding="utf-8").split())


def test_small_at_full_context():
    flops = whisper_flops(whisper_dimensions("small"), window_frames=[3000], window_tokens=[20], prompt_tokens=4)
    assert f"{flops.total / 1e9:.1f} GFLOPs run" in PAGE
    assert f"encoder's layers are {100 * flops.encoder / flops.total:.1f} %" in PAGE


def test_published_against_executed():
    result = reproduce()
    large_to_base, stride, clipped = result.claims
    assert f"and saves {100 * stride.executed:.2f} %" in PAGE
    assert f"stride 2 saves {100 * stride.tables:.1f} % of `small`, and 750 frames {100 * clipped.tables:.1f} %" in PAGE
    assert f"executed it is {100 * stride.executed:.2f} % and nothing" in PAGE
    assert clipped.executed == 0
    assert f"its table gives {large_to_base.tables:.2f}, and {large_to_base.executed:.2f} is executed" in PAGE
    other = [(row.model, row.audio_tokens) for row in result.asr if row.text_tokens != 20]
    assert other == [("tiny", 750), ("medium", 750)]
    assert "gives nine of eleven rows" in PAGE
    assert len(result.asr) - len(other) == 9


@pytest.mark.parametrize("name", ["wav2vec2-base", "wav2vec2-large-robust"])
def test_share_of_the_front_end(name):
    share = speech_flops(dimensions(name), samples=64_000, classes=4).stem_share
    assert f"{100 * share:.1f} % of {name}" in PAGE


def test_choosing_a_model():
    result = select_between()
    big_first, small_first, cascade = result.rows
    assert f"that is {big_first.decider_flops / 2e9:.2f} GMAC" in PAGE
    assert f"the encoder is {100 * result.big_encoder_share:.0f} % of `small`" in PAGE
    assert f"saves {100 * big_first.largest_saving:.1f} % at the very most" in PAGE
    assert f"below a share of {big_first.break_even_share:.3f}" in PAGE
    assert f"break even at {small_first.break_even_share:.3f} and {cascade.break_even_share:.3f}" in PAGE
