"""The small regressors that predict word errors saved: standardised inputs, hinges, layers; numpy here, ONNX to run.

One form holds all candidates. Inputs are centred, scaled and clipped, so that no single odd number decides. With
``knots`` every input ``z`` is joined by ``max(z - k, 0)`` for each knot ``k``: a linear model on these is an additive
model of linear splines (Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2nd edition, sections
5.2 and 9.1). Layers follow, rectified in between; an ensemble of networks with one hidden layer each is one such
network, their hidden units side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allophone.costs.formulas import FLOPS_PER_MAC
from allophone.extras import importing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allophone.routing.samples import FloatArray

__all__ = ["Network", "Scaling", "export_network", "fit_scaling"]

CLIP = 4.0  # standard deviations
_OPSET = 17
_IR_VERSION = 9  # what onnxruntime 1.17 reads


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Centre and scale of every input, shape (n_features,) each."""

    center: FloatArray
    scale: FloatArray

    def apply(self, features: NDArray[np.floating]) -> FloatArray:
        """Return standardised, clipped features, shape (n, n_features)."""
        scaled: FloatArray = np.clip((features - self.center) / self.scale, -CLIP, CLIP)
        return scaled


def fit_scaling(features: NDArray[np.floating]) -> Scaling:
    """Take mean and standard deviation; an input that never changes gets scale 1, so it becomes 0."""
    wide = features.astype(np.float64)
    scale = wide.std(axis=0)
    return Scaling(wide.mean(axis=0), np.where(scale > 1e-9, scale, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A fitted regressor.

    Args:
        scaling: Of the inputs.
        knots: Hinges of every standardised input; none leaves the inputs alone.
        layers: Weights of shape (n_in, n_out) and biases of shape (n_out,), rectified in between.
    """

    scaling: Scaling
    knots: tuple[float, ...]
    layers: tuple[tuple[FloatArray, FloatArray], ...]

    def predict(self, features: NDArray[np.floating]) -> FloatArray:
        """Return the outputs, shape (n, n_outputs)."""
        values = expand(self.scaling.apply(features), self.knots)
        for place, (weights, biases) in enumerate(self.layers):
            values = values @ weights + biases
            if place < len(self.layers) - 1:
                values = np.maximum(values, 0)
        return values

    @property
    def flops(self) -> int:
        """FLOPs of one prediction: its matrix products, 2 per multiply-accumulate."""
        return sum(FLOPS_PER_MAC * weights.size for weights, _ in self.layers)


def expand(scaled: FloatArray, knots: tuple[float, ...]) -> FloatArray:
    """Join the hinges of every input, shape (n, n_features x (1 + n_knots))."""
    hinges = np.maximum(scaled[:, :, None] - np.array(knots), 0.0).reshape(len(scaled), -1)
    return np.concatenate([scaled, hinges], axis=1)


def export_network(network: Network) -> bytes:
    """Return the network as an ONNX model: ``features`` (n, n_features) to ``saved`` (n, n_outputs), float32.

    Raises:
        MissingExtraError: The package ``onnx`` is missing; it is needed to write, not to run.
    """
    with importing("onnx", "torch"):
        from onnx import TensorProto, helper, numpy_helper

    constants: dict[str, NDArray[np.generic]] = {
        "center": network.scaling.center.astype(np.float32),
        "scale": network.scaling.scale.astype(np.float32),
        "low": np.float32(-CLIP),
        "high": np.float32(CLIP),
    }
    nodes = [
        helper.make_node("Sub", ["features", "center"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "low", "high"], ["clipped"]),
    ]
    current = "clipped"
    if network.knots:
        constants |= {
            "knots": np.array(network.knots, np.float32),
            "last": np.array([2], np.int64),
            "flat": np.array([0, -1], np.int64),
            "zero": np.float32(0),
        }
        nodes += [
            helper.make_node("Unsqueeze", ["clipped", "last"], ["column"]),
            helper.make_node("Sub", ["column", "knots"], ["beyond"]),
            helper.make_node("Max", ["beyond", "zero"], ["hinges"]),
            helper.make_node("Reshape", ["hinges", "flat"], ["hinged"]),
            helper.make_node("Concat", ["clipped", "hinged"], ["expanded"], axis=1),
        ]
        current = "expanded"
    for place, (weights, biases) in enumerate(network.layers):
        constants[f"weights{place}"] = weights.astype(np.float32)
        constants[f"biases{place}"] = biases.astype(np.float32)
        final = place == len(network.layers) - 1
        output = "saved" if final else f"sum{place}"
        nodes.append(helper.make_node("Gemm", [current, f"weights{place}", f"biases{place}"], [output]))
        if not final:
            nodes.append(helper.make_node("Relu", [output], [f"hidden{place}"]))
            current = f"hidden{place}"
    graph = helper.make_graph(
        nodes,
        "errors-saved",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(network.scaling.center)])],
        [helper.make_tensor_value_info("saved", TensorProto.FLOAT, ["n", network.layers[-1][1].size])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    serialised: bytes = model.SerializeToString()
    return serialised
