from dataclasses import astuple

import pytest

from allophone.costs.devices import device, recognition_roofline_latency_s
from allophone.costs.executed import whisper_flops
from allophone.costs.moonshine import moonshine_flops
from allophone.costs.published import published_recognition_flops
from allophone.costs.recognition import (
    moonshine_cost,
    point_flops,
    prompt_length,
    recognition_flops,
)
from allophone.costs.setting import whisper_cost
from allophone.costs.transcript import transcript_flops
from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError
from allophone.models.fake import FakeEngine
from allophone.records.point import OperatingPoint
from allophone.transcription.recording import transcribe_points
from builders import tone

MOONSHINE = MOONSHINE_MODELS["moonshine-tiny"]
WHISPER = whisper_dimensions("tiny.en")
WINDOWS = {"window_frames": [300, 100], "window_tokens": [9, 4]}


def test_each_family_is_counted_by_its_own_formulas():
    knobs = {**WINDOWS, "token_stride": 2, "beam_size": 3}
    assert recognition_flops(MOONSHINE, **knobs, prompt_tokens=1) == moonshine_flops(MOONSHINE, **knobs)
    whisper = {**knobs, "prompt_tokens": 2, "window_tail": [7, 0], "no_speech_prob": True}
    assert recognition_flops(WHISPER, **whisper) == whisper_flops(WHISPER, **whisper)


def test_moonshine_has_no_tail():
    with pytest.raises(SpaceError, match="use tail=none"):
        recognition_flops(MOONSHINE, **WINDOWS, prompt_tokens=1, window_tail=[0, 1])


def test_the_published_formula_takes_any_layers_width_and_audio_tokens():
    # Moonshine: n = 6, d = 288; 300 and 100 frames are 123 and 40 audio tokens (not 150 and 50)
    def encoder(tokens: int) -> int:
        return 6 * (2 * tokens * 288 * (4 * 288 + tokens) + 16 * tokens * 288**2)

    billed = published_recognition_flops(MOONSHINE, **WINDOWS)
    assert billed.encoder == encoder(123) + encoder(40)
    assert billed.decoder == 6 * ((2 * 123 + 10) * 9 + (2 * 40 + 10) * 4) * 288**2
    whisper = published_recognition_flops(WHISPER, window_frames=[3000], window_tokens=[20])
    assert whisper.total == whisper_cost(WHISPER, convention="published").flops_total


def test_prompts():
    assert [prompt_length(dims) for dims in (MOONSHINE, WHISPER, whisper_dimensions("base"))] == [1, 2, 4]


def test_a_setting_is_its_windows():
    # 70 s in windows of 30 s: 3000, 3000, 1000 frames; twice as fast: 3000, 500
    cost = moonshine_cost(MOONSHINE, audio_s=70, text_tokens=9, token_stride=2, beam_size=2)
    assert cost.window_frames == (3000, 3000, 1000)
    flops = moonshine_flops(
        MOONSHINE, window_frames=[3000, 3000, 1000], window_tokens=[9] * 3, token_stride=2, beam_size=2
    )
    assert cost.flops_total == flops.total == sum(astuple(flops))
    assert moonshine_cost(MOONSHINE, audio_s=70, speed=2.0).window_frames == (3000, 500)
    nothing = moonshine_cost(MOONSHINE, audio_s=0)
    assert (nothing.flops_total, nothing.kv_cache_bytes, nothing.params) == (0, 0, cost.params)
    published = moonshine_cost(MOONSHINE, audio_s=70, text_tokens=9, convention="published")
    billed = published_recognition_flops(MOONSHINE, window_frames=[3000, 3000, 1000], window_tokens=[9] * 3)
    assert published.flops_total == round(billed.total)
    with pytest.raises(SpaceError, match="known ones: executed, published"):
        moonshine_cost(MOONSHINE, convention="other")  # type: ignore[arg-type]


def test_a_point_of_either_family_is_costed():
    small = OperatingPoint(model="moonshine-tiny", token_stride=2, speed=1.25)
    assert point_flops(MOONSHINE, small, audio_s=8, text_tokens=12) == (
        moonshine_cost(MOONSHINE, audio_s=8, text_tokens=12, token_stride=2, speed=1.25).flops_total
    )
    fit = OperatingPoint(model="tiny.en", context="fit", margin_s=1, tail="all", guard=True)
    assert point_flops(WHISPER, fit, audio_s=8, text_tokens=12) == (
        whisper_cost(WHISPER, audio_s=8, text_tokens=12, context="fit", margin_s=1, tail="all").flops_total
    )


@pytest.mark.parametrize("model", ["tiny", "tiny.en"])
@pytest.mark.parametrize("knobs", [{}, {"context": "fit", "margin_s": 1, "tail": "all"}, {"beam_size": 2}])
def test_a_point_is_foreseen_as_the_ledger_bills_what_ran(model, knobs):
    point = OperatingPoint(model=f"fake:{model}", **knobs)
    (transcript,) = transcribe_points(FakeEngine(model), tone(8.0, 1), [point])
    tokens = transcript.segments[0].token_count
    dims = whisper_dimensions(model)
    assert point_flops(dims, point, audio_s=8.0, text_tokens=tokens) == transcript_flops(dims, transcript).total


def test_the_roofline_knows_both_and_reads_the_vocabulary_once_a_step():
    on = device("a100-sxm-80gb")
    knobs = {"prompt_tokens": 1, "compute_type": "int8"}
    short, long = (
        recognition_roofline_latency_s(MOONSHINE, on, window_frames=[300], window_tokens=[tokens], **knobs)
        for tokens in (1, 101)
    )
    assert 0 < short < long
