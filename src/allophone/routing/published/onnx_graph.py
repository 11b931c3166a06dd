"""ONNX graph of a Whisper encoder and the published decider, built from torch's weights node by node.

CTranslate2 gives no hidden states, so a policy of this kind brings its own encoder, in float32. The graph answers with
the decider's logit and with the encoder's output, from which CTranslate2's decoder can go on: the encoder runs once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from allophone.costs.decider import DECIDER_BLOCKS, DECIDER_KERNEL
from allophone.extras import importing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decider_graph", "states_graph"]

_OPSET = 17
_IR_VERSION = 9  # what onnxruntime 1.17 reads
_EPSILON = 1e-5


def states_graph(encoder: Any) -> bytes:
    """Return the encoder as ONNX: ``mel`` (1, n_mels, frames) to ``states`` (n_layers + 1, frames / 2, d).

    The states are the input of the first layer and the output of every layer.

    Args:
        encoder: From :func:`allophone.encoders.torch_whisper.load_torch_whisper` with ``encoder_only``.

    Raises:
        MissingExtraError: The package ``onnx`` is missing; it is needed to write, not to run.
    """
    graph = _Graph()
    states = _encode(graph, encoder)
    joined = graph.add("Concat", [graph.add("Unsqueeze", [state, graph.ints([0])]) for state in states], axis=0)
    graph.add("Squeeze", [joined, graph.ints([1])], output="states")
    channels = encoder.conv1.in_channels
    return graph.save({"mel": [1, channels, "frames"]}, {"states": ["layers", "positions", "width"]})


def decider_graph(network: Any, encoder: Any | None) -> bytes:
    """Return the decider as ONNX, with the encoder whose states it reads, or alone on a log-mel.

    Inputs: ``mel`` (1, n_mels, frames). Outputs: ``logit`` (1,); with an encoder also ``encoded`` (1, frames / 2, d),
    its output after the last normalisation.

    Args:
        network: From :func:`allophone.routing.published.network.build_decider`, trained.
        encoder: As for :func:`states_graph`; None where the network reads the log-mel.

    Raises:
        MissingExtraError: The package ``onnx`` is missing.
    """
    graph = _Graph()
    if encoder is None:
        channels = network.blocks[0].first.in_channels
        combined = "mel"
    else:
        channels = encoder.conv1.in_channels
        states = _encode(graph, encoder)
        shares = _array(network.layer_weights.softmax(0))
        weighted = [
            graph.add("Mul", [state, graph.constant(share)]) for state, share in zip(states, shares, strict=True)
        ]
        combined = graph.add("Transpose", [graph.add("Sum", weighted)], perm=[0, 2, 1])
        graph.normalise(states[-1], encoder.layer_norm, output="encoded")
    current = combined
    for block, (_, stride) in zip(network.blocks, DECIDER_BLOCKS, strict=True):
        inner = graph.add("Relu", [graph.convolve(current, block.first, stride, DECIDER_KERNEL // 2)])
        second = graph.convolve(inner, block.second, 1, DECIDER_KERNEL // 2)
        current = graph.add("Relu", [graph.add("Add", [second, graph.convolve(current, block.beside, stride, 0)])])
    pooled = graph.add("ReduceMean", [current], axes=[2], keepdims=0)
    logit = graph.add("MatMul", [pooled, graph.constant(_array(network.output.weight).T)])
    flat = graph.add("Add", [logit, graph.constant(_array(network.output.bias))])
    graph.add("Reshape", [flat, graph.ints([-1])], output="logit")
    outputs: dict[str, list[int | str]] = {"logit": ["one"]}
    if encoder is not None:
        outputs["encoded"] = [1, "positions", encoder.layer_norm.normalized_shape[0]]
    return graph.save({"mel": [1, channels, "frames"]}, outputs)


def _encode(graph: _Graph, encoder: Any) -> list[str]:
    """Add an encoder (``WhisperEncoder`` in transformers); return the names of its states, (1, positions, d) each."""
    first = graph.gelu(graph.convolve("mel", encoder.conv1, 1, 1))
    second = graph.gelu(graph.convolve(first, encoder.conv2, 2, 1))
    audio = graph.add("Transpose", [second], perm=[0, 2, 1])
    length = graph.add("Slice", [graph.add("Shape", [audio]), graph.ints([1]), graph.ints([2])])
    table = graph.constant(_array(encoder.embed_positions.weight))
    positions = graph.add("Slice", [table, graph.ints([0]), length, graph.ints([0])])
    states = [graph.add("Add", [audio, positions])]
    for layer in encoder.layers:
        current = states[-1]
        attended = _attend(graph, graph.normalise(current, layer.self_attn_layer_norm), layer.self_attn)
        current = graph.add("Add", [current, attended])
        inner = graph.gelu(graph.project(graph.normalise(current, layer.final_layer_norm), layer.fc1))
        states.append(graph.add("Add", [current, graph.project(inner, layer.fc2)]))
    return states


def _attend(graph: _Graph, current: str, attention: Any) -> str:
    heads, width = attention.num_heads, attention.head_dim
    split = graph.ints([0, -1, heads, width])

    def part(projection: Any, perm: list[int]) -> str:
        return graph.add("Transpose", [graph.add("Reshape", [graph.project(current, projection), split])], perm=perm)

    query, value = (part(projection, [0, 2, 1, 3]) for projection in (attention.q_proj, attention.v_proj))
    key = part(attention.k_proj, [0, 2, 3, 1])
    scaled = graph.add("Mul", [query, graph.constant(np.float32(width**-0.5))])
    shares = graph.add("Softmax", [graph.add("MatMul", [scaled, key])], axis=-1)
    mixed = graph.add("Transpose", [graph.add("MatMul", [shares, value])], perm=[0, 2, 1, 3])
    return graph.project(graph.add("Reshape", [mixed, graph.ints([0, -1, heads * width])]), attention.out_proj)


class _Graph:
    """Nodes and constants as they are added; every node has one output, whose name it returns."""

    def __init__(self) -> None:
        with importing("onnx", "torch"):
            import onnx
        self._onnx: Any = onnx
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, kind: str, inputs: list[str], *, output: str | None = None, **attributes: Any) -> str:
        name = output or f"v{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, array: NDArray[Any] | np.generic) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def ints(self, values: list[int]) -> str:
        return self.constant(np.array(values, np.int64))

    def convolve(self, current: str, layer: Any, stride: int, padding: int) -> str:
        weights = [self.constant(_array(layer.weight)), self.constant(_array(layer.bias))]
        return self.add("Conv", [current, *weights], strides=[stride], pads=[padding, padding])

    def project(self, current: str, layer: Any) -> str:
        product = self.add("MatMul", [current, self.constant(_array(layer.weight).T)])
        return product if layer.bias is None else self.add("Add", [product, self.constant(_array(layer.bias))])

    def normalise(self, current: str, layer: Any, output: str | None = None) -> str:
        weights = [self.constant(_array(layer.weight)), self.constant(_array(layer.bias))]
        return self.add("LayerNormalization", [current, *weights], output=output, axis=-1, epsilon=_EPSILON)

    def gelu(self, current: str) -> str:
        scaled = self.add("Div", [current, self.constant(np.float32(np.sqrt(2)))])
        spread = self.add("Add", [self.add("Erf", [scaled]), self.constant(np.float32(1))])
        return self.add("Mul", [self.add("Mul", [current, spread]), self.constant(np.float32(0.5))])

    def save(self, inputs: dict[str, list[int | str]], outputs: dict[str, list[int | str]]) -> bytes:
        helper, number = self._onnx.helper, self._onnx.TensorProto.FLOAT
        ends = [
            [helper.make_tensor_value_info(name, number, shape) for name, shape in side.items()]
            for side in (inputs, outputs)
        ]
        graph = helper.make_graph(self._nodes, "decider", *ends, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        serialised: bytes = model.SerializeToString()
        return serialised


def _array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().numpy()
    return array
