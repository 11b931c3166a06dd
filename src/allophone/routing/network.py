"""Regression networks that predict word errors saved: trained in numpy or torch, exported to ONNX.

One form holds all candidates. Inputs are centred, scaled and clipped, so that no single odd number decides. With
``knots`` every input ``z`` is joined by ``max(z - k, 0)`` for each knot ``k``: a linear model on these is an additive
model of linear splines (Hastie, Tibshirani and Friedman, "The elements of statistical learning", 2nd edition, sections
5.2 and 9.1). Layers follow, rectified in between; an ensemble of networks with one hidden layer each is one such
network, their hidden units side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allophone.audio.mel import log_mel
from allophone.costs.formulas import FLOPS_PER_MAC
from allophone.extras import importing
from allophone.routing.audio_features import (
    TIMED_NOISE_S,
    AudioView,
    encoder_statistics,
    measure_overhead,
    mel_statistics,
    timed_noise,
)
from allophone.routing.policy_file import write_models
from allophone.routing.samples import RecognitionRouteSamples
from allophone.routing.scoring import PolicyRouter, Scorer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from allophone.arrays import FloatArray

__all__ = ["Network", "Scaling", "export_models", "export_network", "fit_scaling", "measured_fields"]

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
        for index, (weights, biases) in enumerate(self.layers):
            values = values @ weights + biases
            if index < len(self.layers) - 1:
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
    for index, (weights, biases) in enumerate(network.layers):
        constants[f"weights{index}"] = weights.astype(np.float32)
        constants[f"biases{index}"] = biases.astype(np.float32)
        final = index == len(network.layers) - 1
        output = "saved" if final else f"sum{index}"
        nodes.append(helper.make_node("Gemm", [current, f"weights{index}", f"biases{index}"], [output]))
        if not final:
            nodes.append(helper.make_node("Relu", [output], [f"hidden{index}"]))
            current = f"hidden{index}"
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


def export_models(out: Path, steps: Sequence[Network], choices: Sequence[Network]) -> dict[str, object]:
    """Write one ONNX model a step and a choice; return the card's fields that name them and bill a decision's FLOPs.

    Raises:
        LedgerError: The folder cannot be written.
        MissingExtraError: The package ``onnx`` is missing.
    """
    networks = {
        **{f"step-{index}.onnx": network for index, network in enumerate(steps)},
        **{f"choice-{index}.onnx": network for index, network in enumerate(choices)},
    }
    written = list(write_models(out, {name: export_network(network) for name, network in networks.items()}).values())
    flops = max(network.flops for network in steps) + max((network.flops for network in choices), default=0)
    return {"steps": written[: len(steps)], "choices": written[len(steps) :], "overhead_flops": float(flops)}


def measured_fields(scorer: Scorer, samples: RecognitionRouteSamples, views: Sequence[AudioView]) -> dict[str, object]:
    """Time one decision, and note which scores training saw."""
    policy = scorer.policy
    scores = PolicyRouter(scorer, views).scores(samples)
    ranges = [tuple(np.quantile(line, (0.005, 0.995)).tolist()) for line in scores]
    if policy.kind == "cascade":
        longest = max(range(len(samples)), key=lambda index: samples.readings[0][index].tokens)
        cheap, dear = samples.readings[0][longest : longest + 1], samples.readings[1][longest : longest + 1]
        look = measure_overhead(lambda: scorer.score_readings(0, cheap))
        if scorer.choices:
            look += measure_overhead(lambda: scorer.prefers_later(0, cheap, dear))
        return {"score_range": ranges, "overhead_s": look}
    decide = measure_overhead(lambda: scorer.score_audio(views[:1], samples.duration_s[:1]))
    noise = timed_noise()
    mel = log_mel(noise, 100 * TIMED_NOISE_S, 80)
    seen = measure_overhead(lambda: mel_statistics(mel, float(TIMED_NOISE_S)), 10)
    seen += measure_overhead(lambda: log_mel(noise, 100 * TIMED_NOISE_S, 80), 10)  # the point makes its own again
    if policy.reads == "encoder":
        width = (views[0].encoder.size if views[0].encoder is not None else 0) // 2
        states = np.ones((50 * TIMED_NOISE_S, width), np.float32)
        seen += measure_overhead(lambda: encoder_statistics(states), 10)
    return {"score_range": ranges, "overhead_s": decide, "overhead_s_per_audio_s": seen / TIMED_NOISE_S}
