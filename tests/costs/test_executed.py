import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allophone.costs.executed import WhisperFlops, whisper_flops, whisper_flops_arrays
from allophone.dimensions.whisper import WHISPER_MODELS, WhisperDimensions, whisper_dimensions
from allophone.errors import SpaceError

DIMS = WhisperDimensions(8, 50, 16, 2, 3, 100, 40, 16, 2, 2, True)
PARTS = ("stem", "encoder", "cross_kv", "decoder", "head")


def test_one_window_by_hand():
    # d = 16, 3 encoder and 2 decoder layers, 8 mels, 100 tokens. 30 frames are 15 audio tokens; stride 4 keeps 4.
    # stem: 2·3·8·16·30 + 2·3·256·15
    # encoder: 3 · (24·256·15 + 4·16·15²)
    # cross_kv: 2 · 4·256·4
    # decoder: prompt 2 · 3·(28·256 + 4·16·(3 + 4)); steps with 4 and 5 text keys 2 · (28·256 + 4·16·(4 + 4)), (5 + 4)
    # head: 3 · 2·16·100
    flops = whisper_flops(DIMS, window_frames=[30], window_tokens=[3], prompt_tokens=3, token_stride=4)
    assert flops == WhisperFlops(
        stem=23_040 + 23_040,
        encoder=3 * (92_160 + 14_400),
        cross_kv=8_192,
        decoder=2 * 3 * 7_616 + 2 * (7_168 + 512) + 2 * (7_168 + 576),
        head=9_600,
    )
    assert flops.total == 46_080 + 319_680 + 8_192 + 45_696 + 15_360 + 15_488 + 9_600
    assert flops.macs_total * 2 == flops.total


def test_small_at_full_context_as_papers_quote_it():
    # 12 · (24·768²·1500 + 4·768·1500²) = 337.7 GFLOPs of encoder; 394.1 in all; stride 2 saves 5.5 %.
    small = whisper_dimensions("small")
    full, strided = (
        whisper_flops(small, window_frames=[3000], window_tokens=[20], prompt_tokens=4, token_stride=stride)
        for stride in (1, 2)
    )
    assert full.encoder == 337_747_968_000
    assert full.total == 394_063_288_320
    assert 1 - strided.total / full.total == pytest.approx(0.0555, abs=5e-5)


def test_a_tail_costs_the_decoder_as_its_positions_do():
    # 15 audio tokens and 9 silent ones, stride 4: 6 positions instead of 4.
    knobs = {"window_frames": [30], "window_tokens": [3], "prompt_tokens": 3, "token_stride": 4}
    without, tailed = whisper_flops(DIMS, **knobs), whisper_flops(DIMS, **knobs, window_tail=[9])
    assert (tailed.stem, tailed.encoder, tailed.head) == (without.stem, without.encoder, without.head)
    assert tailed.cross_kv == without.cross_kv * 6 // 4
    # every one of the 3 + 2 decoder rows attends to two more positions: 2 layers · 4·16·2
    assert tailed.decoder - without.decoder == 5 * 2 * 4 * 16 * 2
    array = whisper_flops_arrays(
        DIMS, frames=30, text_tokens=3, prompt_tokens=3, tail_tokens=[0, 9], token_stride=4
    ).total
    assert array.tolist() == [without.total, tailed.total]


@pytest.mark.parametrize("tail", [-1, DIMS.n_audio_ctx - 14])
def test_a_tail_ends_where_the_trained_context_does(tail):
    with pytest.raises(SpaceError, match="tail"):
        whisper_flops(DIMS, window_frames=[30], window_tokens=[3], prompt_tokens=3, window_tail=[tail])
    with pytest.raises(SpaceError, match="tail"):
        whisper_flops_arrays(DIMS, frames=[30, 2], text_tokens=3, prompt_tokens=3, tail_tokens=[tail, 0])
    with pytest.raises(SpaceError, match="one number per window"):
        whisper_flops(DIMS, window_frames=[30], window_tokens=[3], prompt_tokens=3, window_tail=[])


def test_beams_share_everything_up_to_the_first_step():
    one, five = (
        whisper_flops(DIMS, window_frames=[30], window_tokens=[3], prompt_tokens=3, token_stride=4, beam_size=beams)
        for beams in (1, 5)
    )
    assert (one.stem, one.encoder, one.cross_kv) == (five.stem, five.encoder, five.cross_kv)
    assert five.decoder - one.decoder == 4 * (15_360 + 15_488)  # both steps of four more beams
    assert five.head == (1 + 5 * 2) * 3_200
    # A single token is one step that is not expanded: nothing differs.
    single = {"window_frames": [30], "window_tokens": [1], "prompt_tokens": 3}
    assert whisper_flops(DIMS, **single) == whisper_flops(DIMS, **single, beam_size=5)


def test_the_no_speech_probability_costs_one_more_head_row_in_every_decoded_window():
    knobs = {"window_frames": [30, 30, 30], "window_tokens": [3, 0, 2], "prompt_tokens": 3}
    without, probed = (whisper_flops(DIMS, **knobs, no_speech_prob=probe) for probe in (False, True))
    assert probed.total - without.total == probed.head - without.head == 2 * 3_200


def test_windows_and_re_runs_add_up():
    windows = [(30, 3), (100, 7), (12, 0), (100, 1)]
    parts = [
        whisper_flops(DIMS, window_frames=[frames], window_tokens=[tokens], prompt_tokens=2)
        for frames, tokens in windows
    ]
    frames, tokens = zip(*windows, strict=True)
    together = whisper_flops(DIMS, window_frames=frames, window_tokens=tokens, prompt_tokens=2)
    assert together == WhisperFlops(*(sum(getattr(part, name) for part in parts) for name in PARTS))


def test_no_windows_cost_nothing():
    nothing = whisper_flops(DIMS, window_frames=[], window_tokens=[], prompt_tokens=0)
    assert nothing == WhisperFlops(0, 0, 0, 0, 0)
    assert nothing.total == nothing.macs_total == 0


def test_a_window_without_tokens_ran_the_encoder_alone():
    flops = whisper_flops(DIMS, window_frames=[30], window_tokens=[0], prompt_tokens=0)
    assert flops == WhisperFlops(46_080, 319_680, 0, 0, 0)


def test_a_stride_beyond_the_audio_keeps_the_first_position():
    kept = whisper_flops(DIMS, window_frames=[30], window_tokens=[1], prompt_tokens=1, token_stride=1000)
    assert kept.cross_kv == 2 * 4 * 256


@pytest.mark.parametrize(
    ("knobs", "limit"),
    [
        ({"token_stride": 0}, "least is 1"),
        ({"beam_size": 0}, "least is 1"),
        ({"window_frames": [0]}, "1 to 100"),
        ({"window_frames": [101]}, "1 to 100"),
        ({"window_tokens": [-1]}, "below 0"),
        ({"window_tokens": [39]}, "decoder has 40"),  # 3 + 39 - 1 positions
        ({"prompt_tokens": 0}, "below 1"),
        ({"prompt_tokens": -1, "window_tokens": [0]}, "below 0"),
        ({"window_tokens": [1, 2]}, "1 window_frames but 2 window_tokens"),
    ],
)
def test_impossible_knobs_name_the_limit(knobs, limit):
    with pytest.raises(SpaceError, match=limit):
        whisper_flops(DIMS, **({"window_frames": [30], "window_tokens": [3], "prompt_tokens": 3} | knobs))


def test_all_positions_of_the_decoder_can_be_used():
    # 3 prompt tokens and 37 of the 38 generated ones are fed: 40 positions.
    assert whisper_flops(DIMS, window_frames=[30], window_tokens=[38], prompt_tokens=3).decoder > 0


KNOBS = st.tuples(st.integers(1, 3000), st.integers(0, 200), st.integers(1, 200), st.integers(1, 40), st.integers(1, 8))


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(list(WHISPER_MODELS)), rows=st.lists(KNOBS, min_size=1, max_size=20), probe=st.booleans())
def test_arrays_equal_scalars_to_the_last_digit(name, rows, probe):
    dims = whisper_dimensions(name)
    frames, text, prompt, stride, beams = np.array(rows).T
    arrays = whisper_flops_arrays(
        dims,
        frames=frames,
        text_tokens=text,
        prompt_tokens=prompt,
        token_stride=stride,
        beam_size=beams,
        no_speech_prob=probe,
    )
    for index, row in enumerate(rows):
        scalar = whisper_flops(
            dims,
            window_frames=[row[0]],
            window_tokens=[row[1]],
            prompt_tokens=row[2],
            token_stride=row[3],
            beam_size=row[4],
            no_speech_prob=probe,
        )
        assert [int(getattr(arrays, part)[index]) for part in PARTS] == [getattr(scalar, part) for part in PARTS]
        assert int(arrays.total[index]) == scalar.total


def test_arrays_broadcast_and_may_be_empty():
    grid = whisper_flops_arrays(
        DIMS, frames=np.array([30, 100])[:, None], text_tokens=[1, 2, 3], prompt_tokens=3, token_stride=2
    )
    assert all(getattr(grid, part).shape == (2, 3) for part in PARTS)
    assert grid.total.shape == (2, 3)
    by_hand = whisper_flops(DIMS, window_frames=[100], window_tokens=[2], prompt_tokens=3, token_stride=2)
    assert grid.total[1, 1] == by_hand.total
    assert whisper_flops_arrays(DIMS, frames=[], text_tokens=3, prompt_tokens=3).total.shape == (0,)


@pytest.mark.parametrize(
    ("knobs", "limit"),
    [
        ({"token_stride": [1, 0]}, "least is 1"),
        ({"beam_size": [0, 1]}, "least is 1"),
        ({"frames": [30, 101]}, "1 to 100"),
        ({"frames": [30, 0]}, "1 to 100"),
        ({"text_tokens": [3, -1]}, "below 0"),
        ({"text_tokens": [3, 39]}, "decoder has 40"),
        ({"prompt_tokens": [3, 0]}, "below 1"),
        ({"frames": [30.5, 30]}, "integers; got float64"),
    ],
)
def test_arrays_refuse_what_scalars_refuse(knobs, limit):
    with pytest.raises(SpaceError, match=limit):
        whisper_flops_arrays(DIMS, **({"frames": [30, 30], "text_tokens": [3, 3], "prompt_tokens": [3, 3]} | knobs))


def test_a_long_prompt_and_a_long_text_in_different_entries_are_fine():
    flops = whisper_flops_arrays(DIMS, frames=30, text_tokens=[38, 3], prompt_tokens=[3, 38])
    assert flops.total.shape == (2,)


def test_a_million_costs_take_less_than_a_second():
    random = np.random.default_rng(0)
    count = 1_000_000
    knobs = {
        "frames": random.integers(1, 3001, count),
        "text_tokens": random.integers(0, 200, count),
        "prompt_tokens": random.integers(1, 200, count),
        "token_stride": random.integers(1, 9, count),
        "beam_size": random.integers(1, 6, count),
    }
    whisper_flops_arrays(whisper_dimensions("large-v3"), **knobs)
    start = time.perf_counter()
    total = whisper_flops_arrays(whisper_dimensions("large-v3"), **knobs).total
    assert time.perf_counter() - start < 1
    assert total.min() > 0  # no overflow
