"""The ONNX graph against the torch modules that it was built from."""

import numpy as np
import pytest

from allophone.routing.published import onnx_graph as faithful_graph
from allophone.routing.published.network import build_decider, hidden_states
from allophone.routing.published.onnx_graph import decider_graph, states_graph

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def encoder():
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        num_mel_bins=8, d_model=32, encoder_layers=3, encoder_attention_heads=4, encoder_ffn_dim=48,
        max_source_positions=60,
    )  # fmt: skip
    module = WhisperEncoder(config).eval()
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return module


def run(graph, mel):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"mel": mel[None]})


def mels(channels):
    return [np.random.default_rng(n).normal(size=(channels, n)).astype(np.float32) for n in (2, 30, 120)]


def test_all_states_of_any_length_are_torchs(encoder):
    graph = states_graph(encoder)
    for mel in mels(8):
        (found,) = run(graph, mel)
        assert found.shape == (4, mel.shape[1] // 2, 32)
        np.testing.assert_allclose(found, hidden_states(encoder, mel), atol=2e-5)


def test_logit_and_output_are_torchs(encoder):
    from allophone.encoders.torch_whisper import encode_windows

    network = build_decider(4, 32, seed=3).eval()
    with torch.no_grad():
        network.layer_weights.copy_(torch.tensor([0.3, -1.0, 2.0, 0.1]))
    graph = decider_graph(network, encoder)
    for mel in mels(8):
        logit, encoded = run(graph, mel)
        with torch.no_grad():
            expected = network(torch.from_numpy(hidden_states(encoder, mel))[None])
            output = encode_windows(encoder, torch.from_numpy(mel)[None])
        np.testing.assert_allclose(logit, expected.numpy(), atol=1e-5)
        np.testing.assert_allclose(encoded, output.numpy(), atol=2e-5)


def test_without_an_encoder_it_reads_the_log_mel():
    network = build_decider(1, 8, seed=1).eval()
    graph = decider_graph(network, None)
    for mel in mels(8):
        (logit,) = run(graph, mel)
        with torch.no_grad():
            expected = network(torch.from_numpy(mel.T[None].copy())[None])
        np.testing.assert_allclose(logit, expected.numpy(), atol=1e-5)


def test_thousands_of_frames_have_positions_enough(encoder):
    with pytest.raises(Exception, match="Add"):  # 62 positions of 60: the graph refuses, it does not wrap round
        run(states_graph(encoder), np.zeros((8, 124), np.float32))


def test_every_constant_is_float32_or_an_index(encoder):
    import onnx

    model = onnx.load_from_string(states_graph(encoder))
    onnx.checker.check_model(model)
    assert {constant.data_type for constant in model.graph.initializer} == {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }
    assert model.ir_version == faithful_graph._IR_VERSION
