"""Resources of the scaling law: what each axis buys, as one positive number that grows with cost.

The model's resource is its parameters without embeddings (Kaplan et al., arXiv 2001.08361, section 2.1): ``12·d²`` a
layer of the encoder and ``16·d²`` a layer of the decoder, whose cross-attention adds ``4·d²``. The context's is one
second plus the seconds of silence that the encoder sees behind the audio, because what fails in a short context is the
end of the audio, not its length; the one second keeps no silence above zero. Both are means over the run's utterances
where they depend on their length. Window and context count audio as it is after time compression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from allophone.arrays import FloatArray
from allophone.audio.tail import tail_positions
from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.dimensions.whisper import AUDIO_TOKEN_S, FRAMES_PER_AUDIO_TOKEN, TRAINED_CONTEXT_S, WHISPER_MODELS
from allophone.errors import UnknownModelError
from allophone.records.point import OperatingPoint

__all__ = ["RESOURCES", "Resource", "axis_values", "layer_parameters", "resource_table", "varied_axes"]

_FAKE_PREFIX = "fake:"  # deterministic stand-ins have the dimensions of the model they stand for


@dataclass(frozen=True, slots=True)
class Resource:
    """What one axis buys.

    Args:
        axis: Name of the axis.
        title: What people read, with its unit.
        knobs: Fields of the operating point that make up the axis.
    """

    axis: str
    title: str
    knobs: tuple[str, ...]


RESOURCES: dict[str, Resource] = {
    resource.axis: resource
    for resource in (
        Resource("model", "parameters without embeddings", ("model",)),
        Resource("window_s", "seconds of audio a pass", ("window_s",)),
        Resource("context", "1 s + seconds of silence behind the audio", ("context", "margin_s", "floor_s", "guard")),
        Resource("tail", "1 s + seconds of silence that the decoder sees", ("tail",)),
        Resource("token_stride", "audio tokens the decoder reads a second", ("token_stride",)),
        Resource("speed", "audio tokens the encoder makes of a second of speech", ("speed",)),
        Resource("compute_type", "bits of a weight", ("compute_type",)),
        Resource("beam_size", "beams", ("beam_size",)),
    )
}


def layer_parameters(model: str, known: Mapping[str, float] | None = None) -> float:
    """Parameters of a model's layers, embeddings left out.

    Args:
        model: Name in the table of dimensions, or any name in ``known``.
        known: Parameters of models that the table does not have, such as folders.

    Raises:
        UnknownModelError: Neither knows the model.
    """
    if known and model in known:
        return float(known[model])
    name = model.removeprefix(_FAKE_PREFIX)
    if name in MOONSHINE_MODELS:  # the decoder's gated feed-forward part has a third matrix
        small = MOONSHINE_MODELS[name]
        d, f = small.n_audio_state, small.n_ffn
        return float(small.n_audio_layer * (4 * d**2 + 2 * d * f) + small.n_text_layer * (8 * d**2 + 3 * d * f))
    dims = WHISPER_MODELS.get(name)
    if dims is None:
        raise UnknownModelError(
            f"the size of model '{model}' is not known, so no law over models can be fitted. Give its parameters, or "
            f"use one of: {', '.join([*WHISPER_MODELS, *MOONSHINE_MODELS])}."
        )
    return float(12 * dims.n_audio_layer * dims.n_audio_state**2 + 16 * dims.n_text_layer * dims.n_text_state**2)


def axis_values(point: OperatingPoint, axis: str) -> tuple[object, ...]:
    """The values of the knobs that make up an axis."""
    return tuple(getattr(point, knob) for knob in RESOURCES[axis].knobs)


def varied_axes(points: Sequence[OperatingPoint]) -> tuple[str, ...]:
    """The axes on which the points differ, in the order of :data:`RESOURCES`."""
    return tuple(axis for axis in RESOURCES if len({axis_values(point, axis) for point in points}) > 1)


def resource_table(
    points: Sequence[OperatingPoint],
    axes: Sequence[str],
    durations_s: npt.ArrayLike,
    parameters: Mapping[str, float] | None = None,
) -> FloatArray:
    """The resources of points.

    Args:
        points: Operating points.
        axes: Names in :data:`RESOURCES`.
        durations_s: Lengths of the utterances that the points run on, in seconds, shape (n_utterances,).
        parameters: As ``known`` of :func:`layer_parameters`.

    Returns:
        Shape (n_points, n_axes), positive.

    Raises:
        UnknownModelError: The model is an axis and the size of one is not known.
    """
    durations = np.asarray(durations_s, dtype=np.float64)
    of_axis: dict[str, Callable[[OperatingPoint], float]] = {
        "model": lambda point: layer_parameters(point.model, parameters),
        "window_s": lambda point: float(_passed(point, durations).mean()),
        "context": lambda point: 1 + float(_silence(point, durations).mean()),
        "tail": lambda point: 1 + float((_silence(point, durations) + _tail(point, durations)).mean()),
        "token_stride": lambda point: 1 / (AUDIO_TOKEN_S * point.token_stride),
        "speed": lambda point: 1 / (AUDIO_TOKEN_S * point.speed),
        "compute_type": lambda point: _bits(point.compute_type),
        "beam_size": lambda point: float(point.beam_size),
    }
    return np.array([[of_axis[axis](point) for axis in axes] for point in points], dtype=np.float64).reshape(
        len(points), len(axes)
    )


def _passed(point: OperatingPoint, durations: FloatArray) -> FloatArray:
    """Seconds of compressed audio in the first pass, the longest one."""
    return np.minimum(durations / point.speed, point.window_s)


def _silence(point: OperatingPoint, durations: FloatArray) -> FloatArray:
    passed = _passed(point, durations)
    if point.context == "full":
        return TRAINED_CONTEXT_S - passed
    return np.minimum(np.maximum(passed + point.margin_s, point.floor_s), TRAINED_CONTEXT_S) - passed


def _tail(point: OperatingPoint, durations: FloatArray) -> FloatArray:
    """Seconds of the trained context that the tail's positions stand for."""
    if point.tail == "none":
        return np.zeros_like(durations)
    reached = _passed(point, durations) + _silence(point, durations)
    n_audio_ctx = round(TRAINED_CONTEXT_S / AUDIO_TOKEN_S)
    frames = np.round(reached / AUDIO_TOKEN_S).astype(int) * FRAMES_PER_AUDIO_TOKEN
    shown = [len(tail_positions(int(window), point.tail, n_audio_ctx)) for window in frames.ravel()]
    return np.asarray(shown, dtype=np.float64).reshape(durations.shape) * AUDIO_TOKEN_S


def _bits(compute_type: str) -> float:
    weights = compute_type.partition("_")[0]  # int8_float16: weights in int8
    return float(weights.lstrip("abfilnot"))
