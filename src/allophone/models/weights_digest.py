"""Digest of a model's weights, whatever family they are of."""

from __future__ import annotations

from hashlib import sha256

from allophone.dimensions.moonshine import MOONSHINE_MODELS
from allophone.files import file_sha256
from allophone.models.engine import FAKE_PREFIX
from allophone.models.moonshine_weights import resolve_moonshine
from allophone.models.weights import resolve_weights

__all__ = ["hub_revision", "weights_digest"]


def weights_digest(model: str) -> str:
    """Return the SHA-256 of a model's ``model.bin`` or ONNX files; of the name alone for the fake engine.

    Raises:
        WeightsError: The weights are not to be found.
        MissingExtraError: The package that brings them is missing.
    """
    if model.startswith(FAKE_PREFIX):
        return sha256(model.encode()).hexdigest()
    if model in MOONSHINE_MODELS:
        return resolve_moonshine(model).sha256
    return file_sha256(resolve_weights(model).folder / "model.bin")


def hub_revision(model: str) -> str | None:
    """Return the hub's revision of a model's weights; None of those from elsewhere.

    Raises:
        WeightsError: The weights are not to be found.
    """
    if model.startswith(FAKE_PREFIX) or model in MOONSHINE_MODELS:
        return None
    return resolve_weights(model).revision
