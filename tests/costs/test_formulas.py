"""The closed forms against torch's own count: difference 0 for every Whisper size and for drawn dimensions."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allophone.costs import whisper_flops
from allophone.costs.formulas import audio_tokens, stem_flops
from allophone.costs.parameters import whisper_encoder_parameters, whisper_parameters
from allophone.dimensions.whisper import WHISPER_MODELS, WhisperDimensions

torch = pytest.importorskip("torch")


def build(whisper_config, dims, tokens, device="meta"):
    from transformers import WhisperForConditionalGeneration

    with torch.device(device):
        return WhisperForConditionalGeneration(whisper_config(dims, tokens)).eval()


def transcribe(model, dims, *, frames, text_tokens, prompt_tokens, stride, device="meta"):
    """Greedy decoding as engines run it: prompt in one pass, cached steps, head on the newest token only."""
    from transformers import DynamicCache, EncoderDecoderCache

    def run():
        mel = torch.zeros(1, dims.n_mels, frames, device=device)
        audio = model.model.encoder(mel).last_hidden_state[:, ::stride]
        if text_tokens == 0:
            return
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        fed = torch.zeros(1, prompt_tokens, dtype=torch.long, device=device)
        for _ in range(text_tokens):
            hidden = model.model.decoder(
                input_ids=fed, encoder_hidden_states=audio, past_key_values=cache, use_cache=True
            ).last_hidden_state
            model.proj_out(hidden[:, -1:])
            fed = torch.zeros(1, 1, dtype=torch.long, device=device)

    return run


def closed_form(dims, *, frames, text_tokens, prompt_tokens, stride):
    return whisper_flops(
        dims,
        window_frames=[frames],
        window_tokens=[text_tokens],
        prompt_tokens=prompt_tokens,
        token_stride=stride,
    )


@pytest.mark.parametrize(
    "name", list({dims: name for name, dims in WHISPER_MODELS.items()}.values())
)  # equal rows once
def test_every_size_executes_what_the_closed_form_says(name, whisper_config, executed_by):
    dims = WHISPER_MODELS[name]
    knobs = {"frames": 3000, "text_tokens": 3, "prompt_tokens": 4, "stride": 1}
    model = build(whisper_config, dims, 1500)
    assert closed_form(dims, **knobs).total == executed_by(transcribe(model, dims, **knobs))
    assert whisper_parameters(dims) == sum(parameter.numel() for parameter in model.parameters())
    assert whisper_encoder_parameters(dims) == sum(p.numel() for p in model.model.encoder.parameters())


@pytest.mark.parametrize(("name", "stride"), [("tiny.en", 2), ("base", 3)])
def test_real_tensors_of_real_size_count_the_same(name, stride, whisper_config, executed_by):
    dims = WHISPER_MODELS[name]
    knobs = {"frames": 600, "text_tokens": 7, "prompt_tokens": 3, "stride": stride}
    model = build(whisper_config, dims, 300, device="cpu")
    with torch.no_grad():
        counted = executed_by(transcribe(model, dims, **knobs, device="cpu"))
    assert closed_form(dims, **knobs).total == counted


@st.composite
def small_dimensions(draw):
    head_width = draw(st.integers(1, 4)) * 2
    heads = draw(st.integers(1, 4))
    return WhisperDimensions(
        n_mels=draw(st.integers(1, 12)),
        n_audio_ctx=60,
        n_audio_state=head_width * heads,
        n_audio_head=heads,
        n_audio_layer=draw(st.integers(1, 3)),
        n_vocab=draw(st.integers(2, 70)),
        n_text_ctx=40,
        n_text_state=head_width * heads,
        n_text_head=heads,
        n_text_layer=draw(st.integers(1, 3)),
        multilingual=draw(st.booleans()),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    dims=small_dimensions(),
    tokens=st.integers(1, 60),
    text_tokens=st.integers(0, 12),
    prompt_tokens=st.integers(1, 9),
    stride=st.integers(1, 7),
)
def test_drawn_dimensions_and_knobs(dims, tokens, text_tokens, prompt_tokens, stride, whisper_config, executed_by):
    knobs = {"frames": 2 * tokens, "text_tokens": text_tokens, "prompt_tokens": prompt_tokens, "stride": stride}
    model = build(whisper_config, dims, tokens)
    assert closed_form(dims, **knobs).total == executed_by(transcribe(model, dims, **knobs))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(dims=small_dimensions(), frames=st.integers(1, 90))
def test_stem_on_odd_and_even_frames(dims, frames, whisper_config, executed_by):
    encoder = build(whisper_config, dims, 60).model.encoder
    positions = []

    def convolve():
        first = encoder.conv1(torch.zeros(1, dims.n_mels, frames, device="meta"))
        positions.append(encoder.conv2(first).shape[-1])

    assert stem_flops(dims, frames) == executed_by(convolve)
    assert audio_tokens(frames) == positions[0]


@pytest.mark.parametrize("beams", [2, 5])
def test_beams_as_ctranslate2_runs_them(beams, whisper_config, executed_by):
    # The state is replicated after the first step, text keys with it; the audio's keys are shared, so the rows of all
    # beams meet one copy: a product of B rows with S positions is B times one row's, whatever the batch.
    from transformers import DynamicCache, EncoderDecoderCache

    dims = WhisperDimensions(8, 20, 16, 2, 2, 50, 40, 16, 2, 2, True)
    model = build(whisper_config, dims, 20)
    prompt, text_tokens = 4, 6

    def search():
        audio = model.model.encoder(torch.zeros(1, 8, 40, device="meta")).last_hidden_state
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        fed = torch.zeros(1, prompt, dtype=torch.long, device="meta")
        for step in range(text_tokens):
            if step == 1:
                cache.batch_repeat_interleave(beams)
                audio = audio.repeat_interleave(beams, 0)
                fed = fed.repeat_interleave(beams, 0)
            hidden = model.model.decoder(
                input_ids=fed, encoder_hidden_states=audio, past_key_values=cache, use_cache=True
            ).last_hidden_state
            model.proj_out(hidden[:, -1:])
            fed = fed[:, :1]

    executed = whisper_flops(
        dims, window_frames=[40], window_tokens=[text_tokens], prompt_tokens=prompt, beam_size=beams
    )
    assert executed.total == executed_by(search)
