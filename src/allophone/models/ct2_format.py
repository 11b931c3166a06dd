"""Layout of a CTranslate2 ``model.bin``: names, shapes and offsets, without loading the weights.

Layout (CTranslate2, ``src/models/model.cc``, binary version 6), little endian: ``uint32`` version; string spec name;
``uint32`` revision; ``uint32`` number of variables; a variable is its name, ``uint8`` rank, ``uint32`` per dimension,
``uint8`` type, ``uint32`` bytes, data. A string is a ``uint16`` length and that many bytes, the last one zero. After
the variables come aliases: ``uint32`` count, then pairs of names.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from allophone.dimensions.whisper import WhisperDimensions
from allophone.errors import WeightsError

__all__ = ["Variable", "read_variables", "whisper_dimensions_of"]

_VERSIONS = range(5, 7)


@dataclass(frozen=True, slots=True)
class Variable:
    """Where one tensor lies in the file: its shape, CTranslate2's type number, and the span of its bytes."""

    shape: tuple[int, ...]
    type_id: int
    offset: int
    n_bytes: int


def read_variables(path: Path) -> dict[str, Variable]:
    """Read the table of variables.

    Raises:
        WeightsError: The file cannot be read, is not a CTranslate2 model, or ends early.
    """
    variables: dict[str, Variable] = {}
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            version = _number(file, "I")
            if version not in _VERSIONS:
                raise WeightsError(f"{path}: not a CTranslate2 model of a known version ({version}). Convert it again.")
            _string(file)
            _number(file, "I")
            for _ in range(_number(file, "I")):
                name = _string(file)
                shape = tuple(_number(file, "I") for _ in range(_number(file, "B")))
                type_id = _number(file, "B")
                n_bytes = _number(file, "I")
                variables[name] = Variable(shape, type_id, file.tell(), n_bytes)
                if file.seek(n_bytes, 1) > size:
                    raise WeightsError(f"{path}: ends inside '{name}'. Fetch or convert the model again.")
    except (struct.error, UnicodeDecodeError):
        raise WeightsError(f"{path}: damaged or not a CTranslate2 model. Fetch or convert it again.") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}). Fetch or convert the model again.") from None
    return variables


def whisper_dimensions_of(folder: Path) -> WhisperDimensions:
    """Read the dimensions of a Whisper model off its weights.

    Raises:
        WeightsError: The folder holds no ``model.bin``, or not a Whisper model.
    """
    path = folder / "model.bin"
    if not path.is_file():
        raise WeightsError(
            f"{folder}: holds no model.bin. Give a CTranslate2 folder (ct2-transformers-converter makes one)."
        )
    variables = read_variables(path)
    try:
        state, n_mels, _ = variables["encoder/conv1/weight"].shape
        n_vocab, text_state = variables["decoder/embeddings/weight"].shape
        positions, _ = variables["decoder/position_encodings/encodings"].shape
        audio_positions, _ = variables["encoder/position_encodings/encodings"].shape
    except (KeyError, ValueError):
        raise WeightsError(f"{folder}: its model.bin is not a Whisper model. Give a converted Whisper model.") from None
    head_width = 64  # every Whisper release: n_state / n_head = 64
    return WhisperDimensions(
        n_mels=n_mels,
        n_audio_ctx=audio_positions,
        n_audio_state=state,
        n_audio_head=state // head_width,
        n_audio_layer=_layers(variables, "encoder"),
        n_vocab=n_vocab,
        n_text_ctx=positions,
        n_text_state=text_state,
        n_text_head=text_state // head_width,
        n_text_layer=_layers(variables, "decoder"),
        multilingual=n_vocab >= 51865,  # openai/whisper, model.py: is_multilingual
    )


def _layers(variables: dict[str, Variable], side: str) -> int:
    prefix = f"{side}/layer_"
    parts = {name[len(prefix) :].partition("/")[0] for name in variables if name.startswith(prefix)}
    return sum(part.isdigit() for part in parts)  # layer_0, layer_1, ... but not layer_norm


def _number(file: BinaryIO, code: str) -> int:
    value: int = struct.unpack(f"<{code}", file.read(struct.calcsize(code)))[0]
    return value


def _string(file: BinaryIO) -> str:
    length = _number(file, "H")
    return file.read(length).rstrip(b"\0").decode()
