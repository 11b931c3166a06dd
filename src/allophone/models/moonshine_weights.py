"""Weights of Moonshine: the installed package ``moonshine-voice``, whose wheel holds the tiny model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from allophone.dimensions.moonshine import MOONSHINE_MODELS, MoonshineDimensions
from allophone.errors import MissingExtraError, WeightsError
from allophone.extras import install_command
from allophone.files import file_sha256
from allophone.models.weights import check_digest

__all__ = ["MoonshineWeights", "locate_moonshine", "read_vocabulary", "resolve_moonshine"]

_PACKAGE = "moonshine_voice"
_FOLDERS = {"moonshine-tiny": "assets/tiny-en"}
_FILES = {  # of moonshine-voice 0.0.49, with their SHA-256
    "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    "decoder_model_merged.ort": "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}
_AGAIN = "Install moonshine-voice 0.0.49 again."


@dataclass(frozen=True, slots=True)
class MoonshineWeights:
    """ONNX files that are there.

    Args:
        model: The name asked for.
        folder: Holds ``encoder_model.ort``, ``decoder_model_merged.ort`` and ``tokenizer.bin``.
        dimensions: From the table.
    """

    model: str
    folder: Path
    dimensions: MoonshineDimensions

    @property
    def encoder(self) -> Path:
        """Stem and encoder."""
        return self.folder / "encoder_model.ort"

    @property
    def decoder(self) -> Path:
        """The decoder, with and without a cache."""
        return self.folder / "decoder_model_merged.ort"

    @property
    def vocabulary(self) -> Path:
        """The text of every token."""
        return self.folder / "tokenizer.bin"

    @property
    def sha256(self) -> str:
        """Digest of encoder and decoder together."""
        return file_sha256(self.encoder, self.decoder)


def locate_moonshine(model: str) -> MoonshineWeights | None:
    """Find a model's weights in the installed package; None where there is none.

    Args:
        model: A name in ``MOONSHINE_MODELS``.

    Raises:
        WeightsError: The package is there but lacks a file.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / _FOLDERS[model]
    for name, digest in _FILES.items():
        if not os.path.isfile(folder / name):
            raise WeightsError(f"{folder / name}: missing. {_AGAIN}")
        check_digest(folder / name, digest, f"SHA-256 is not the published one. {_AGAIN}")
    return MoonshineWeights(model, folder, MOONSHINE_MODELS[model])


def resolve_moonshine(model: str) -> MoonshineWeights:
    """Find a model's weights.

    Raises:
        MissingExtraError: The package is not installed; the message is the command that installs it.
        WeightsError: The package is there but lacks a file.
    """
    found = locate_moonshine(model)
    if found is None:
        raise MissingExtraError(_PACKAGE, "moonshine", install_command("moonshine"))
    return found


def read_vocabulary(path: Path) -> list[bytes]:
    """Read the text of every token, in order.

    Each token is one byte, its length (no token has more than 127), and then its bytes.

    Raises:
        WeightsError: The file does not end where a token does.
    """
    content = path.read_bytes()
    tokens, index = [], 0
    while index < len(content):
        end = index + 1 + content[index]
        tokens.append(content[index + 1 : end])
        index = end
    if index != len(content):
        raise WeightsError(f"{path}: damaged. {_AGAIN}")
    return tokens
