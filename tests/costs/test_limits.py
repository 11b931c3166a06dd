"""Every limit at its last good value and at the first bad one, with the message that names it."""

import pytest

from allophone.costs.limits import (
    SPEEDS,
    check_audio,
    check_beam,
    check_classes,
    check_compute_type,
    check_context,
    check_frames,
    check_lora_rank,
    check_prompt,
    check_speed,
    check_stride,
    check_tail,
    check_tail_rule,
    check_text_tokens,
    check_unfrozen_layers,
    check_windows,
)
from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import SpaceError

TINY = whisper_dimensions("tiny")
MOONSHINE = MOONSHINE_MODELS["moonshine-tiny"]
WINDOW = {"window_s": 30, "margin_s": 0, "floor_s": 0}


def test_the_last_good_values_pass():
    check_stride(1)
    check_beam(1)
    check_frames(TINY, 1)
    check_frames(TINY, 3000)
    check_windows([], [])
    check_windows([300], [0])
    check_prompt(0, started=False)
    check_prompt(1, started=True)
    check_text_tokens(TINY, 0, 4)
    check_text_tokens(TINY, 445, 4)  # 448 positions: the last token is not fed
    check_text_tokens(MOONSHINE, MOONSHINE.n_text_ctx, 1)
    for compute_type in ("int8", "int8_bfloat16", "float16", "float32"):
        check_compute_type(compute_type)
    check_audio(0)
    for speed in SPEEDS:
        check_speed(speed)
    check_context("full", **WINDOW)
    check_context("fit", window_s=0.01, margin_s=30, floor_s=30)
    for tail in ("none", "all", "every-2", "last-1"):
        check_tail_rule(tail)
    check_tail(TINY, 600, 1200)
    check_tail(TINY, 3000, 0)
    check_classes(2)
    check_lora_rank(384, 0)
    check_lora_rank(384, 384)
    check_unfrozen_layers(4, 0)
    check_unfrozen_layers(4, 4)


@pytest.mark.parametrize(
    ("check", "arguments", "options", "message"),
    [
        (check_stride, (0,), {}, "token_stride 0 keeps no audio token; the least is 1"),
        (check_beam, (0,), {}, "beam_size 0 keeps no hypothesis; the least is 1"),
        (check_frames, (TINY, 0), {}, "0 log-mel frames .* 1 to 3000"),
        (check_frames, (TINY, 3001), {}, "3001 log-mel frames .*1500 audio tokens is its trained length"),
        (check_windows, ([300], [1, 2]), {}, "1 window_frames but 2 window_tokens"),
        (check_prompt, (-1,), {"started": False}, "prompt_tokens -1 is below 0"),
        (check_prompt, (0,), {"started": True}, "prompt_tokens 0 is below 1"),
        (check_text_tokens, (TINY, -1, 4), {}, "text_tokens -1 is below 0"),
        (check_text_tokens, (TINY, 446, 4), {}, "need 449 positions; the decoder has 448"),
        (check_compute_type, ("int4",), {}, "unknown compute_type 'int4'; known ones: .*int8"),
        (check_audio, (-0.1,), {}, "give 0 s or more"),
        (check_audio, (float("nan"),), {}, "give 0 s or more"),
        (check_speed, (0.49,), {}, "0.5 to 4"),
        (check_speed, (float("nan"),), {}, "0.5 to 4"),
        (check_context, ("half",), WINDOW, "unknown context 'half'; known ones: full, fit"),
        (check_context, ("fit",), {**WINDOW, "window_s": 30.1}, "window_s 30.1; .* at most the trained 30 s"),
        (check_context, ("fit",), {**WINDOW, "margin_s": -1}, "margin_s -1; it goes from 0 s"),
        (check_context, ("fit",), {**WINDOW, "floor_s": 31}, "floor_s 31; it goes from 0 s"),
        (check_tail_rule, ("every-1",), {}, "tail 'every-1'; write none, all, every-N"),
        (check_tail, (TINY, 600, 1201), {}, "a tail of 1201 audio tokens behind 600 frames; it goes from 0 to 1200"),
        (check_tail, (TINY, 600, -1), {}, "from 0 to 1200"),
        (check_classes, (1,), {}, "1 classes; a head decides between at least 2"),
        (check_lora_rank, (384, 385), {}, "lora_rank 385; .* width, 384"),
        (check_unfrozen_layers, (4, 5), {}, "unfrozen_layers 5; the encoder has 4 layers"),
    ],
)
def test_the_first_bad_value_is_named_with_its_limit(check, arguments, options, message):
    with pytest.raises(SpaceError, match=message):
        check(*arguments, **options)
