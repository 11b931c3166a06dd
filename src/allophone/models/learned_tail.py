"""Learned tails: vectors that stand behind a fit context in the place of the encoder's outputs for silence.

The decoder of a Whisper model finds the end of the text by the silence behind the audio. A few vectors that were
trained by gradient, all weights frozen, tell it the same as 1,500 positions of silence, which it would have to read for
every token (``docs/results/default_point.md``). They belong to the weights they were trained with and to no others.

A tail is a ``.npz`` file of two arrays: ``vectors``, float16 of shape ``(n_vectors, n_audio_state)``, and
``weights_sha256``, the digest of the ``model.bin`` that it belongs to. Those of tiny.en and base come with the package;
``learned_tail.npz`` in a model's folder is that model's own.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from allophone.audio.tail import learned_vectors
from allophone.errors import WeightsError
from allophone.files import whole_file
from allophone.models.engine import FAKE_PREFIX
from allophone.models.weights import Weights, check_digest, has_digest, locate_weights, resolve_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TAIL_FILE", "has_learned_tail", "load_learned_tail", "require_learned_tail", "write_learned_tail"]

TAIL_FILE = "learned_tail.npz"  # in a model's folder
_SHIPPED = {name: Path(__file__).parent / "tails" / f"{name}.npz" for name in ("tiny.en", "base")}
_INSTEAD = "Use tail=all, which every model has, or learn one: allophone adapt tail CORPUS --model MODEL --out FOLDER"


def load_learned_tail(weights: Weights, n_vectors: int) -> NDArray[np.float32]:
    """Return the learned tail of a model, shape ``(n_vectors, n_audio_state)``: its folder's own, or the shipped one.

    Args:
        weights: The model that will run.
        n_vectors: How many vectors the tail must have.

    Raises:
        WeightsError: There is none, or it is damaged, of another size or width, or of other weights.
    """
    path = _find(weights)
    if path is None:
        raise WeightsError(f"{weights.folder}: no tail was learned for {weights.model}. {_INSTEAD}.")
    vectors, digest = _read(path)
    if vectors.shape != (n_vectors, weights.dimensions.n_audio_state):
        raise WeightsError(
            f"{path}: field 'vectors': {vectors.shape[0]} of width {vectors.shape[1]}, where {n_vectors} of width "
            f"{weights.dimensions.n_audio_state} are asked for. Use tail=learned-{vectors.shape[0]} with the model it "
            "was learned for."
        )
    problem = f"the tail {path} was learned for other weights (field 'weights_sha256'). {_INSTEAD}."
    check_digest(weights.folder / "model.bin", digest, problem)
    return vectors


def require_learned_tail(model: str, tail: str) -> None:
    """Make sure that a point can have its tail; every tail that is not learned can be had.

    Args:
        model: As for :func:`allophone.models.engine.load_engine`.
        tail: As in :class:`allophone.records.point.OperatingPoint`.

    Raises:
        WeightsError: As for :func:`load_learned_tail`.
    """
    if (n_vectors := learned_vectors(tail)) and not model.startswith(FAKE_PREFIX):
        load_learned_tail(resolve_weights(model), n_vectors)


def has_learned_tail(model: str, n_vectors: int) -> bool:
    """Whether a model has a shipped tail of so many vectors, as far as this machine can tell.

    Args:
        model: A name in the dimensions table. Where its weights are not here yet they are taken to be the published
            ones, which the tail belongs to.
        n_vectors: As for :func:`load_learned_tail`.

    Raises:
        WeightsError: The weights or the tail are damaged.
    """
    if (path := _SHIPPED.get(model)) is None:
        return False
    vectors, digest = _read(path)
    weights = locate_weights(model)
    return vectors.shape[0] == n_vectors and (
        weights is None or (_find(weights) == path and has_digest(weights.folder / "model.bin", digest))
    )


def write_learned_tail(path: Path, vectors: NDArray[np.float32], weights_sha256: str) -> None:
    """Write a tail; equal vectors give equal bytes.

    Args:
        path: The file.
        vectors: Shape ``(n_vectors, n_audio_state)``.
        weights_sha256: Digest of the ``model.bin`` that it belongs to.

    Raises:
        LedgerError: The folder cannot be written.
    """
    import numpy as np

    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(file, vectors=vectors.astype(np.float16), weights_sha256=np.array(weights_sha256))


def _find(weights: Weights) -> Path | None:
    own = weights.folder / TAIL_FILE
    return own if own.is_file() else _SHIPPED.get(weights.model)


def _read(path: Path) -> tuple[NDArray[np.float32], str]:
    import numpy as np

    remedy = "Restore the file, or use tail=all"
    try:
        with np.load(path, allow_pickle=False) as found:
            vectors, digest = found["vectors"].astype(np.float32), str(found["weights_sha256"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a learned tail ({error}). {remedy}.") from None
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise WeightsError(
            f"{path}: field 'vectors': not all are finite numbers in rows, shape {vectors.shape}. {remedy}."
        )
    return vectors, digest
