"""Weight bytes of Whisper as CTranslate2 holds them in memory on a CPU, by number format.

Matrices of linear layers and the vocabulary are kept in the compute type; int8 adds one float32 scale per row
(``Quantize`` per row), int16 one a matrix. Convolutions, biases, normalisations and position tables stay in the float
type of the compute type. Keys have a bias of zeros, since query, key and value are stored as one matrix.
Source: CTranslate2's ``specs/model_spec.py``, ``specs/whisper_spec.py``, ``Model::set_compute_type`` in ``model.cc``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from allophone.costs.formulas import CONV_KERNEL, MLP_RATIO
from allophone.costs.limits import check_compute_type
from allophone.costs.parameters import norm_parameters
from allophone.dimensions.whisper import WhisperDimensions

if TYPE_CHECKING:
    from allophone.records.point import ComputeType

__all__ = ["ACTIVATION_BYTES", "WhisperWeights", "packed_vocabulary_bytes", "weight_bytes", "whisper_weights"]

SCALE_BYTES = 4  # a float32 quantisation scale
COMPENSATION_BYTES = 4  # an int32 a row: what unsigned activations add to a signed product

# Bytes of one matrix entry, and of one entry that is not quantised (which is also what activations are kept in).
MATRIX_BYTES: dict[ComputeType, int] = {
    "int8": 1,
    "int8_float32": 1,
    "int8_float16": 1,
    "int8_bfloat16": 1,
    "int16": 2,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
}
ACTIVATION_BYTES: dict[ComputeType, int] = {
    "int8": 4,
    "int8_float32": 4,
    "int8_float16": 2,
    "int8_bfloat16": 2,
    "int16": 4,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
}


@dataclass(frozen=True, slots=True)
class WhisperWeights:
    """How one part of the weights is made up, in entries.

    Args:
        matrices: Matrices that take the compute type.
        matrix_rows: Their rows; int8 keeps one scale for each.
        matrix_entries: Their entries.
        float_entries: Everything else.
    """

    matrices: int
    matrix_rows: int
    matrix_entries: int
    float_entries: int

    def __add__(self, other: WhisperWeights) -> WhisperWeights:
        return WhisperWeights(
            self.matrices + other.matrices,
            self.matrix_rows + other.matrix_rows,
            self.matrix_entries + other.matrix_entries,
            self.float_entries + other.float_entries,
        )

    def stored_bytes(self, compute_type: ComputeType) -> int:
        """Return bytes in the given number format, scales included.

        Raises:
            SpaceError: The compute type is unknown; the message lists the known ones.
        """
        check_compute_type(compute_type)
        scales = 0
        if MATRIX_BYTES[compute_type] == 1:
            scales = SCALE_BYTES * self.matrix_rows
        elif compute_type == "int16":
            scales = SCALE_BYTES * self.matrices
        matrix = MATRIX_BYTES[compute_type] * self.matrix_entries
        return matrix + scales + ACTIVATION_BYTES[compute_type] * self.float_entries


def whisper_weights(dims: WhisperDimensions) -> dict[str, WhisperWeights]:
    """Return the make-up of ``encoder``, ``decoder`` (layers and positions) and ``vocabulary``.

    The vocabulary is one matrix that serves look-up and head. The decoder's cross keys and values are its own.
    """
    d = dims.n_audio_state
    convolutions = CONV_KERNEL * dims.n_mels * d + d + CONV_KERNEL * d * d + d
    encoder = WhisperWeights(0, 0, 0, convolutions + dims.n_audio_ctx * d + norm_parameters(d))
    encoder += _times(dims.n_audio_layer, _self_attention(d) + _feed_forward(d))
    w = dims.n_text_state
    decoder = WhisperWeights(0, 0, 0, dims.n_text_ctx * w + norm_parameters(w))
    decoder += _times(dims.n_text_layer, _self_attention(w) + _cross_attention(w) + _feed_forward(w))
    vocabulary = WhisperWeights(1, dims.n_vocab, dims.n_vocab * w, 0)
    return {"encoder": encoder, "decoder": decoder, "vocabulary": vocabulary}


def weight_bytes(dims: WhisperDimensions, compute_type: ComputeType) -> int:
    """Return bytes of all weights in memory, one copy of each.

    Raises:
        SpaceError: The compute type is unknown.
    """
    return sum(part.stored_bytes(compute_type) for part in whisper_weights(dims).values())


def packed_vocabulary_bytes(dims: WhisperDimensions, compute_type: ComputeType) -> int:
    """Return bytes of the second copy of the vocabulary that CTranslate2 makes where Intel MKL multiplies.

    MKL packs every matrix in place; the vocabulary is needed plain for look-up too, so it is held twice. int8 also
    keeps one int32 a row of every matrix (``CT2_VERBOSE=1`` prints ``packed: true, u8s8 preferred: true``).
    """
    parts = whisper_weights(dims)
    copy = MATRIX_BYTES[compute_type] * parts["vocabulary"].matrix_entries
    rows = sum(part.matrix_rows for part in parts.values())
    return copy + (COMPENSATION_BYTES * rows if MATRIX_BYTES[compute_type] == 1 else 0)


def _times(layers: int, layer: WhisperWeights) -> WhisperWeights:
    return WhisperWeights(
        layers * layer.matrices,
        layers * layer.matrix_rows,
        layers * layer.matrix_entries,
        layers * layer.float_entries,
    )


def _self_attention(width: int) -> WhisperWeights:
    # Query, key and value as one matrix of 3d rows, the output projection, a bias for every row, a norm.
    return WhisperWeights(2, 4 * width, 4 * width * width, 4 * width + norm_parameters(width))


def _cross_attention(width: int) -> WhisperWeights:
    # Query; key and value as one matrix of 2d rows; output.
    return WhisperWeights(3, 4 * width, 4 * width * width, 4 * width + norm_parameters(width))


def _feed_forward(width: int) -> WhisperWeights:
    rows = MLP_RATIO * width + width
    return WhisperWeights(2, rows, 2 * MLP_RATIO * width * width, rows + norm_parameters(width))
