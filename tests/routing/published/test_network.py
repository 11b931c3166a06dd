import numpy as np
import pytest

from allophone.costs.decider import decider_parameters
from allophone.dimensions.whisper import whisper_dimensions
from allophone.errors import UsageError
from allophone.routing.published.network import (
    PUBLISHED_THRESHOLDS,
    build_decider,
    hidden_states,
    predict_decider,
    train_decider,
)
from allophone.routing.replay import replay
from allophone.routing.routers import Overhead
from allophone.routing.samples import read_route_samples
from benchmarks.routing.routing_faithful import FaithfulRouter
from route_runs import BASE, TINY

torch = pytest.importorskip("torch")


def test_the_network_has_the_parameters_that_are_billed():
    dims = whisper_dimensions("tiny")
    network = build_decider(dims.n_audio_layer + 1, dims.n_audio_state)
    assert sum(parameter.numel() for parameter in network.parameters()) == decider_parameters(dims)


def test_its_flops_are_those_billed():
    from torch.utils.flop_counter import FlopCounterMode

    from allophone.costs.decider import decider_flops

    dims = whisper_dimensions("tiny")
    network = build_decider(dims.n_audio_layer + 1, dims.n_audio_state)
    states = torch.zeros(1, dims.n_audio_layer + 1, 100, dims.n_audio_state)
    with FlopCounterMode(display=False) as counter:
        network(states)
    combining = 2 * (dims.n_audio_layer + 1) * 100 * dims.n_audio_state  # element-wise in the bill
    assert counter.get_total_flops() - decider_flops(dims, 100) in {0, combining}


def test_a_sign_in_the_states_is_learnt_and_seeded():
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 3 == 0
    states = [
        (rng.normal(size=(2, 12 + index % 5, 4)) + 2 * label).astype(np.float32) for index, label in enumerate(labels)
    ]
    first, again = (
        predict_decider(train_decider(states, labels, epochs=6, batch=4, learning_rate=2e-3), states) for _ in range(2)
    )
    assert ((first > 0.5) == labels).all()
    assert first.tolist() == again.tolist()


def test_labels_that_are_all_equal_teach_nothing():
    with pytest.raises(UsageError, match="all 2 labels are equal"):
        train_decider([np.zeros((1, 8, 4), np.float32)] * 2, np.array([True, True]))


def test_hidden_states_are_the_embedding_and_every_layer():
    transformers = pytest.importorskip("transformers")
    from allophone.encoders.torch_whisper import encode_windows

    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32, num_mel_bins=80,
        max_source_positions=1500,
    )  # fmt: skip
    encoder = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    mel = np.random.default_rng(0).normal(size=(80, 40)).astype(np.float32)
    states = hidden_states(encoder, mel)
    assert states.shape == (3, 20, 16)
    with torch.no_grad():
        whole = encode_windows(encoder, torch.from_numpy(mel)[None])
        normed = encoder.layer_norm(torch.from_numpy(states[-1]))
    assert normed.numpy() == pytest.approx(whole[0].numpy(), abs=1e-5)


def test_the_published_thresholds_send_by_probability(seen):
    samples = read_route_samples([seen], [TINY.name, BASE.name])
    probabilities = np.linspace(0, 1, 120)
    router = FaithfulRouter(probabilities, "big_first", Overhead(flops=1e6))
    for threshold in PUBLISHED_THRESHOLDS:
        found = replay(samples, router, threshold)
        assert found.reached.sum() == (probabilities > threshold).sum()
        assert found.flops[0] == samples.flops[0, 0] + samples.encoder_flops[1, 0] + 1e6
