from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from allophone.costs.executed import WhisperFlops
from allophone.costs.moonshine import (
    moonshine_flops,
    moonshine_kv_cache_bytes,
    moonshine_parameters,
    moonshine_weight_bytes,
    moonshine_weights,
)
from allophone.dimensions.moonshine import MOONSHINE_MODELS, MoonshineDimensions
from allophone.errors import SpaceError
from allophone.models.moonshine_weights import locate_moonshine

TINY = MOONSHINE_MODELS["moonshine-tiny"]
SMALL = MoonshineDimensions((16, 32, 16), (127, 7, 3), (64, 3, 2), 16, 2, 3, 40, 100, 20, 16, 2, 2)


@pytest.fixture(scope="module")
def build() -> Callable[[MoonshineDimensions], Any]:
    """The architecture of transformers with these dimensions and random weights."""
    transformers = pytest.importorskip("transformers")

    def model(dims: MoonshineDimensions) -> Any:
        config = transformers.MoonshineConfig(
            vocab_size=dims.n_vocab,
            hidden_size=dims.n_audio_state,
            intermediate_size=dims.n_ffn,
            encoder_num_hidden_layers=dims.n_audio_layer,
            decoder_num_hidden_layers=dims.n_text_layer,
            encoder_num_attention_heads=dims.n_audio_head,
            decoder_num_attention_heads=dims.n_text_head,
            max_position_embeddings=dims.n_text_ctx,
            attn_implementation="eager",
        )
        return transformers.MoonshineForConditionalGeneration(config).eval()

    return model


def test_one_window_by_hand():
    # 30 frames are 4800 samples: 74, 23, 11 positions; stride 4 keeps 3. d = 16, f = 40, 3 and 2 layers, 100 tokens.
    # stem: 2·127·16·74 + 2·7·16·32·23 + 2·3·32·16·11
    # encoder: 3 · (8·256·11 + 4·16·40·11 + 4·16·11²)
    # cross_kv: 2 · 4·256·3
    # decoder: 2 · Σ_{j=1}^{3} (12·256 + 6·16·40 + 4·16·(j + 3)); head: 3 · 2·16·100
    flops = moonshine_flops(SMALL, window_frames=[30], window_tokens=[3], token_stride=4)
    assert flops == WhisperFlops(
        stem=300_736 + 164_864 + 33_792,
        encoder=3 * (22_528 + 28_160 + 7_744),
        cross_kv=6_144,
        decoder=2 * (3 * (3_072 + 3_840) + 64 * (4 + 5 + 6)),
        head=9_600,
    )


def test_beams_multiply_all_steps_but_the_first():
    one, four = (moonshine_flops(SMALL, window_frames=[30], window_tokens=[3], beam_size=beams) for beams in (1, 4))
    first = moonshine_flops(SMALL, window_frames=[30], window_tokens=[1])
    assert four.decoder - first.decoder == 4 * (one.decoder - first.decoder)
    assert four.head - first.head == 4 * (one.head - first.head)
    assert (four.stem, four.encoder, four.cross_kv) == (one.stem, one.encoder, one.cross_kv)


@pytest.mark.parametrize("frames", [6, 58, 300])
@pytest.mark.parametrize("steps", [1, 5])
def test_equals_torch_counting_the_published_architecture(build, frames, steps):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    model = build(SMALL)
    samples = torch.zeros(1, frames * 160)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoded = model.model.encoder(samples)
        cache = None
        for _ in range(steps):
            answer = model(
                encoder_outputs=encoded, decoder_input_ids=torch.ones(1, 1, dtype=torch.long), past_key_values=cache,
                use_cache=True,
            )  # fmt: skip
            cache = answer.past_key_values
    counted = moonshine_flops(SMALL, window_frames=[frames], window_tokens=[steps])
    assert counted.total == counter.get_total_flops()


def test_parameters_equal_the_published_architecture(build):
    assert moonshine_parameters(SMALL) == sum(weights.numel() for weights in build(SMALL).parameters())
    assert moonshine_parameters(TINY) == 27_092_736  # "27M", table 2 of arXiv 2410.15608


def test_weight_bytes_are_the_published_files_less_their_graphs():
    if (found := locate_moonshine("moonshine-tiny")) is None:
        pytest.skip("moonshine-voice is not installed")

    def size(path: Path) -> int:
        return path.stat().st_size

    parts = {part: make.stored_bytes("int8") for part, make in moonshine_weights(TINY).items()}
    assert 0 < size(found.encoder) - parts["encoder"] < 0.05 * size(found.encoder)
    decoder = parts["decoder"] + parts["vocabulary"] + parts["embedding"]
    assert 0 < size(found.decoder) - decoder < 0.06 * size(found.decoder)  # two graphs, with and without a cache
    assert moonshine_weight_bytes(TINY) == sum(parts.values())


def test_cache_by_hand():
    # 11 audio tokens, 3 text tokens, 2 layers: 2·2·16·(11 + 3) float32 numbers, and as many again for a second beam
    knobs = {"frames": 30, "text_tokens": 3}
    assert moonshine_kv_cache_bytes(SMALL, **knobs) == 4 * 2 * 2 * 16 * 14
    assert moonshine_kv_cache_bytes(SMALL, **knobs, beam_size=2) == 2 * moonshine_kv_cache_bytes(SMALL, **knobs)
    assert moonshine_kv_cache_bytes(SMALL, frames=30, text_tokens=0) == 0


def test_a_decoder_that_never_started_costs_nothing_and_no_window_neither():
    flops = moonshine_flops(SMALL, window_frames=[30], window_tokens=[0])
    assert (flops.cross_kv, flops.decoder, flops.head) == (0, 0, 0)
    assert flops.encoder > 0
    assert moonshine_flops(SMALL, window_frames=[], window_tokens=[]).total == 0


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"window_frames": [0]}, "0 frames of audio"),
        ({"window_tokens": [21]}, "the decoder has 20"),
        ({"token_stride": 0}, "token_stride 0"),
        ({"beam_size": 0}, "beam_size 0"),
        ({"window_tokens": [1, 1]}, "1 window_frames but 2 window_tokens"),
    ],
)
def test_a_knob_outside_its_limits_is_refused(knobs, message):
    with pytest.raises(SpaceError, match=message):
        moonshine_flops(SMALL, **{"window_frames": [30], "window_tokens": [3], **knobs})
