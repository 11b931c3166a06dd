import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allophone.audio.mel import context_frames
from allophone.costs.executed import whisper_flops
from allophone.costs.memory import whisper_peak_activation_bytes
from allophone.costs.setting import plan_window_frames, whisper_cost
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError
from allophone.records.point import OperatingPoint

TINY = whisper_dimensions("tiny")
FLOPS = ("flops_stem", "flops_encoder", "flops_cross_kv", "flops_decoder", "flops_head")


@pytest.mark.parametrize(
    ("knobs", "frames"),
    [
        ({"audio_s": 30}, (3000,)),
        ({"audio_s": 5}, (3000,)),
        ({"audio_s": 75}, (3000, 3000, 3000)),
        ({"audio_s": 75, "context": "fit"}, (3000, 3000, 1500)),
        ({"audio_s": 5, "context": "fit"}, (500,)),
        ({"audio_s": 5, "context": "fit", "margin_s": 2}, (700,)),
        ({"audio_s": 5, "context": "fit", "margin_s": 2, "floor_s": 10}, (1000,)),
        ({"audio_s": 29, "context": "fit", "margin_s": 2}, (3000,)),  # no more than was trained on
        ({"audio_s": 5, "context": "fit", "speed": 1.25}, (400,)),
        ({"audio_s": 25, "context": "fit", "window_s": 10}, (1000, 1000, 500)),
        ({"audio_s": 0.001, "context": "fit"}, (2,)),  # one audio token
        ({"audio_s": 0}, ()),
    ],
)
def test_windows(knobs, frames):
    assert plan_window_frames(**knobs) == frames


@settings(deadline=None)
@given(
    samples=st.integers(1, 480_000),
    context=st.sampled_from(["full", "fit"]),
    margin_s=st.floats(0, 30),
    floor_s=st.floats(0, 30),
)
def test_one_window_has_the_frames_that_the_engine_runs_on(samples, context, margin_s, floor_s):
    point = OperatingPoint(model="tiny", context=context, margin_s=margin_s, floor_s=floor_s)
    planned = plan_window_frames(samples / 16_000, context=context, margin_s=margin_s, floor_s=floor_s)
    assert planned == (context_frames(samples, point),)


def test_a_recording_of_several_windows_is_the_sum_of_them():
    cost = whisper_cost(TINY, audio_s=75, context="fit", token_stride=2, beam_size=3, text_tokens=9, prompt_tokens=2)
    flops = whisper_flops(
        TINY,
        window_frames=[3000, 3000, 1500],
        window_tokens=[9] * 3,
        prompt_tokens=2,
        token_stride=2,
        beam_size=3,
        no_speech_prob=True,
    )
    assert [getattr(cost, name) for name in FLOPS] == [
        flops.stem,
        flops.encoder,
        flops.cross_kv,
        flops.decoder,
        flops.head,
    ]
    assert cost.flops_total == flops.total
    assert cost.macs_total == flops.macs_total
    assert cost.window_tokens == (9, 9, 9)
    knobs = {"text_tokens": 9, "prompt_tokens": 2, "token_stride": 2, "beam_size": 3, "compute_type": "int8"}
    largest = whisper_peak_activation_bytes(TINY, frames=3000, **knobs)
    assert cost.peak_activation_bytes == largest
    # 2 · 4 layers · 384 · (3 · (2 + 9 - 1) + 750) · 4 bytes
    assert cost.kv_cache_bytes == 9_584_640


def test_a_tail_is_billed_to_the_decoder():
    knobs = {"audio_s": 5, "context": "fit", "margin_s": 1, "text_tokens": 9, "prompt_tokens": 2}
    cost = whisper_cost(TINY, **knobs, tail="every-4")
    assert cost.window_tail == (300,)  # 1500 - 300 positions, every fourth
    window = {"window_frames": [600], "window_tail": [300], "window_tokens": [9]}
    flops = whisper_flops(TINY, **window, prompt_tokens=2, no_speech_prob=True)
    assert cost.flops_total == flops.total
    without = whisper_cost(TINY, **knobs)
    assert cost.kv_cache_bytes - without.kv_cache_bytes == 4 * 2 * 4 * 384 * 300
    full = whisper_cost(TINY, audio_s=5, tail="all")
    assert full.window_tail == (0,)


def test_published_convention_has_only_encoder_and_decoder():
    cost = whisper_cost(TINY, convention="published")
    assert [getattr(cost, name) for name in FLOPS] == [0, 28_145_664_000, 0, 35_507_404_800, 0]
    assert cost.flops_total == 63_653_068_800
    executed = whisper_cost(TINY)
    assert (cost.params, cost.weight_bytes, cost.kv_cache_bytes) == (
        executed.params,
        executed.weight_bytes,
        executed.kv_cache_bytes,
    )


@pytest.mark.parametrize(("model", "tokens"), [("tiny.en", 2), ("tiny", 4)])
def test_the_prompt_is_the_engine_s_unless_given(model, tokens):
    dims = whisper_dimensions(model)
    assert whisper_cost(dims) == whisper_cost(dims, prompt_tokens=tokens)
    assert whisper_cost(dims).flops_total < whisper_cost(dims, prompt_tokens=tokens + 1).flops_total


def test_no_audio_costs_nothing_but_the_weights():
    cost = whisper_cost(TINY, audio_s=0)
    assert cost.flops_total == cost.macs_total == cost.kv_cache_bytes == cost.peak_activation_bytes == 0
    assert cost.weight_bytes > 0


@pytest.mark.parametrize(
    ("knobs", "limit"),
    [
        ({"audio_s": -1}, "0 s or more"),
        ({"audio_s": float("inf")}, "0 s or more"),
        ({"audio_s": float("nan")}, "0 s or more"),
        ({"window_s": 31}, "trained 30 s"),
        ({"window_s": 0}, "above 0 s"),
        ({"margin_s": -1}, "0 s to the trained 30 s"),
        ({"floor_s": 31}, "0 s to the trained 30 s"),
        ({"context": "half"}, "full, fit"),
        ({"context": "fit", "tail": "half"}, "none, all, every-N"),
        ({"speed": 5}, "0.5 to 4"),
        ({"token_stride": 0}, "least is 1"),
        ({"beam_size": 0}, "least is 1"),
        ({"text_tokens": 449}, "has 448"),
        ({"prompt_tokens": 0}, "at least one token"),
        ({"compute_type": "int4"}, "int8_bfloat16"),
        ({"convention": "imagined"}, "executed, published"),
    ],
)
def test_impossible_knobs_name_the_limit(knobs, limit):
    with pytest.raises(SpaceError, match=limit):
        whisper_cost(TINY, **knobs)


@pytest.mark.parametrize("speed", [0.5, 4.0])
def test_speeds_end_where_operating_points_end(speed):
    beyond = speed + (1e-6 if speed > 1 else -1e-6)
    assert OperatingPoint(model="tiny", speed=speed).speed == speed
    assert plan_window_frames(1, speed=speed) == (3000,)
    with pytest.raises(ValueError, match="speed"):
        OperatingPoint(model="tiny", speed=beyond)
    with pytest.raises(SpaceError, match="speed"):
        plan_window_frames(1, speed=beyond)
