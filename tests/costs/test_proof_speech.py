"""wav2vec 2.0, HuBERT, WavLM and the pooled Whisper encoder against torch's own count: difference 0, training too."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allophone.costs.adaptation import Adaptation, optimizer_bytes, trainable_parameters, training_flops
from allophone.costs.parameters import speech_encoder_parameters
from allophone.costs.speech import speech_flops, speech_tokens, whisper_pooled_flops
from allophone.dimensions.speech_encoders import SPEECH_ENCODERS, SpeechEncoderDimensions, dimensions
from allophone.dimensions.whisper import WhisperDimensions

torch = pytest.importorskip("torch")

CLASSES = 6


class PooledHead(torch.nn.Module):
    """Learned weighted sum of all hidden states, mean and standard deviation over time, one linear layer."""

    def __init__(self, width, layers, classes):
        super().__init__()
        self.layer_weights = torch.nn.Parameter(torch.zeros(layers + 1))
        self.linear = torch.nn.Linear(2 * width, classes)

    def forward(self, hidden_states):
        weights = torch.softmax(self.layer_weights, 0)
        mixed = sum(weight * state for weight, state in zip(weights, hidden_states, strict=True))
        deviation, mean = torch.std_mean(mixed, dim=1)
        return self.linear(torch.cat([mean, deviation], dim=1))


def family(name):
    return name.split("-")[0]


@pytest.mark.parametrize("name", SPEECH_ENCODERS)
def test_every_size_executes_what_the_closed_form_says(name, speech_model, executed_by):
    dims = SPEECH_ENCODERS[name]
    model = speech_model(dims, family(name), device="meta")
    samples = 4 * 16_000
    flops = speech_flops(dims, samples=samples, classes=CLASSES)
    counted = executed_by(lambda: model(torch.zeros(1, samples, device="meta")))
    assert flops.total - flops.head == counted
    assert speech_encoder_parameters(dims) == sum(parameter.numel() for parameter in model.parameters())


def test_real_tensors_of_real_size_count_the_same(speech_model, executed_by):
    dims = SPEECH_ENCODERS["wav2vec2-base"]
    model = speech_model(dims, "wav2vec2")
    flops = speech_flops(dims, samples=16_000, classes=CLASSES)
    with torch.no_grad():
        assert flops.total - flops.head == executed_by(lambda: model(torch.zeros(1, 16_000)))


@st.composite
def small_dimensions(draw, name):
    heads = draw(st.integers(1, 4))
    width = heads * draw(st.integers(1, 4)) * 2
    groups = draw(st.sampled_from([g for g in (1, 2, 4) if width % g == 0]))
    convolutions = draw(st.integers(2, 4))
    norm = draw(st.sampled_from(["group", "layer"]))
    return SpeechEncoderDimensions(
        conv_dim=tuple(draw(st.integers(1, 9)) for _ in range(convolutions)),
        conv_kernel=tuple(draw(st.integers(1, 10)) for _ in range(convolutions)),
        conv_stride=tuple(draw(st.integers(1, 5)) for _ in range(convolutions)),
        conv_bias=draw(st.booleans()),
        feat_extract_norm=norm,
        hidden_size=width,
        intermediate_size=draw(st.integers(1, 40)),
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=heads,
        num_conv_pos_embeddings=draw(st.integers(1, 12)),
        num_conv_pos_embedding_groups=groups,
        num_buckets=16 if name == "wavlm" else 0,
        stable_layer_norm=norm == "layer",
    )


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), name=st.sampled_from(["wav2vec2", "hubert", "wavlm"]), samples=st.integers(0, 900))
def test_drawn_dimensions_and_lengths(data, name, samples, speech_model, executed_by):
    dims = data.draw(small_dimensions(name))
    samples += 1 + 9 * (1 + 5 + 25 + 125)  # enough for four convolutions of kernel 10 and stride 5
    model = speech_model(dims, name, device="meta")
    output = []
    counted = executed_by(lambda: output.append(model(torch.zeros(1, samples, device="meta"))))
    flops = speech_flops(dims, samples=samples, classes=CLASSES)
    assert flops.total - flops.head == counted
    assert speech_tokens(dims, samples) == output[0].last_hidden_state.shape[1]
    assert speech_encoder_parameters(dims) == sum(parameter.numel() for parameter in model.parameters())


def adapted(model, layers, adaptation, unfrozen):
    """The model as it is fine-tuned: peft's adapters on every layer, the top layers' own weights trained."""
    from peft import LoraConfig, inject_adapter_in_model

    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if adaptation.lora_rank:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # WavLM's fused attention takes the projections' weights and never runs what wraps them.
            attention, feed_forward = ["q_proj", "k_proj", "v_proj", "out_proj"], ["intermediate_dense", "output_dense"]
            targets = feed_forward if any("gru_rel_pos" in name for name, _ in model.named_modules()) else attention
            model = inject_adapter_in_model(LoraConfig(r=adaptation.lora_rank, target_modules=targets), model)
    for layer in layers[len(layers) - unfrozen :]:
        for parameter in layer.parameters():
            parameter.requires_grad_(True)
    return model


TRAININGS = [(0, 0), (0, 1), (0, 3), (4, 0), (4, 1), (4, 3)]


@pytest.mark.parametrize(("rank", "unfrozen"), TRAININGS)
@pytest.mark.parametrize("name", ["wav2vec2", "hubert"])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_training_step_of_an_encoder_on_samples(name, rank, unfrozen, norm, speech_model, executed_by):
    dims = SpeechEncoderDimensions(
        (6, 5), (10, 3), (5, 2), True, norm, 16, 24, 3, 4, 8, 2, num_buckets=0, stable_layer_norm=norm == "layer"
    )
    check_training_step(dims, speech_model(dims, name), rank, unfrozen, executed_by)


@pytest.mark.parametrize(("rank", "unfrozen"), TRAININGS)
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_training_step_of_wavlm(rank, unfrozen, norm, speech_model, executed_by):
    dims = SpeechEncoderDimensions(
        (6, 5), (10, 3), (5, 2), False, norm, 16, 24, 3, 4, 8, 2, num_buckets=16, stable_layer_norm=norm == "layer"
    )
    check_training_step(dims, speech_model(dims, "wavlm"), rank, unfrozen, executed_by)


def check_training_step(dims, model, rank, unfrozen, executed_by):
    adaptation = Adaptation(lora_rank=rank, unfrozen_layers=unfrozen, classes=CLASSES)
    model = adapted(model, model.encoder.layers, adaptation, unfrozen)
    head = PooledHead(dims.hidden_size, dims.num_hidden_layers, CLASSES)
    samples = 800

    def step():
        states = model(torch.randn(1, samples), output_hidden_states=True).hidden_states
        head(states).square().sum().backward()

    forward = speech_flops(dims, samples=samples, classes=CLASSES).total
    tokens = speech_tokens(dims, samples)
    assert training_flops(dims, adaptation, tokens=tokens, forward=forward) == executed_by(step)
    check_trained_state(dims, adaptation, model, head)


def check_trained_state(dims, adaptation, model, head):
    trained = [p for module in (model, head) for p in module.parameters() if p.requires_grad]
    assert trainable_parameters(dims, adaptation) == sum(parameter.numel() for parameter in trained)
    optimizer = torch.optim.AdamW(trained)
    optimizer.step()
    moments = [state[name] for state in optimizer.state.values() for name in ("exp_avg", "exp_avg_sq") if name in state]
    assert optimizer_bytes(trainable_parameters(dims, adaptation)) == sum(moment.nbytes for moment in moments)


@pytest.mark.parametrize(("rank", "unfrozen"), TRAININGS)
def test_a_training_step_of_the_pooled_whisper_encoder(rank, unfrozen, whisper_config, executed_by):
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    dims = WhisperDimensions(8, 30, 16, 4, 3, 20, 40, 16, 4, 2, True)
    adaptation = Adaptation(lora_rank=rank, unfrozen_layers=unfrozen, classes=CLASSES)
    encoder = WhisperEncoder(whisper_config(dims, 30))
    encoder = adapted(encoder, encoder.layers, adaptation, unfrozen)
    head = PooledHead(16, 3, CLASSES)

    def step():
        head(encoder(torch.randn(1, 8, 60), output_hidden_states=True).hidden_states).square().sum().backward()

    forward = whisper_pooled_flops(dims, frames=60, classes=CLASSES).total
    assert training_flops(dims, adaptation, tokens=30, forward=forward) == executed_by(step)
    check_trained_state(dims, adaptation, encoder, head)


@pytest.mark.parametrize("name", ["tiny", "wav2vec2-base", "wavlm-large"])
def test_training_costs_more_than_inference_and_less_than_three_times_it(name):
    # A bound that needs no counter: forward once, backward at most twice, where nothing is adapted by low rank.
    dims = dimensions(name)
    if isinstance(dims, WhisperDimensions):
        forward, tokens, layers = whisper_pooled_flops(dims, frames=400, classes=CLASSES).total, 200, dims.n_audio_layer
    else:
        forward, tokens = speech_flops(dims, samples=64_000, classes=CLASSES).total, speech_tokens(dims, 64_000)
        layers = dims.num_hidden_layers
    costs = [training_flops(dims, Adaptation(0, k, CLASSES), tokens=tokens, forward=forward) for k in range(layers + 1)]
    assert costs == sorted(set(costs))
    assert forward < costs[0]
    assert costs[-1] < 3 * forward
