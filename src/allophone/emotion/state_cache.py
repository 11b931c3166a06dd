"""State cache: hidden states of frozen layers, computed once and kept on disk in half precision.

A cache belongs to one encoder's weights, one corpus, one duration and one precision. Its folder holds one flat file a
hidden state, shared by all depths that need it, and the moments that a probe needs instead. Files are read through the
page cache of the operating system, so what fits in memory stays there. What was not used for longest makes way for new
states (:mod:`allophone.emotion.cache_eviction`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from allophone.audio.faults import as_audio_error
from allophone.cache import cache_folder
from allophone.costs.adaptation import frozen_flops
from allophone.emotion.cache_eviction import evict, mark_used
from allophone.emotion.head import state_moments
from allophone.emotion.model import EmotionModel
from allophone.emotion.states import load_clip, pad_clips
from allophone.encoders.layers import n_layers, width
from allophone.errors import AudioError, CorpusError, SpaceError
from allophone.files import whole_file, write_whole
from allophone.records.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CachedStates"]

_FORMAT = 1
_BATCH = 16
_HALF_BYTES = 2


class CachedStates:
    """States read from a cache, which is filled first where it lacks what the model needs.

    Args:
        model: The model to be trained.
        utterances: The whole corpus, in its order.
        fingerprint: The corpus's fingerprint.
        duration_s: Seconds of each recording.
        root: Folder of all caches; None is ``emotion-states`` in allophone's cache folder.
        progress: Called with a fraction from 0 to 1 while the cache is filled.

    Raises:
        CorpusError: No recording can be used.
        SpaceError: Values that half precision cannot hold.
        UsageError: The disk has no room, or the limit in the environment is no number.
    """

    def __init__(
        self,
        model: EmotionModel,
        utterances: Sequence[Utterance],
        fingerprint: str,
        duration_s: float,
        *,
        root: Path | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        key = [_FORMAT, model.encoder.weights_sha256, model.encoder.normalize, fingerprint, duration_s, model.precision]
        key.append(_stamps(utterances))
        root = root or cache_folder() / "emotion-states"
        self.folder = root / sha256(json.dumps(key).encode()).hexdigest()[:24]
        self._model = model
        self._width = width(model.encoder)
        self._states: list[Any] = []
        self._moments: tuple[Any, Any] | None = None
        started = perf_counter()
        self.frozen_flops = 0  # executed in the frozen layers to fill the cache this time
        self._report = progress or (lambda share: None)
        self._index(utterances, duration_s)
        self._fill()
        mark_used(self.folder)
        self.filled_s = perf_counter() - started

    def tokens(self, row: int) -> int:
        """Audio tokens of an utterance; 0 for one that failed."""
        return self._offsets[row + 1] - self._offsets[row]

    def samples(self, row: int) -> int:
        """Samples of an utterance's clip; 0 for one that failed."""
        return self._samples[row]

    @property
    def total_tokens(self) -> int:
        """Audio tokens of all utterances."""
        return self._offsets[-1]

    def lower(self, rows: Sequence[int]) -> tuple[list[Any], Any]:
        """As :class:`allophone.emotion.states.StateSource`."""
        batches = [pad_clips([self._clip(state, row) for row in rows]) for state in self._states]
        return [hidden for hidden, _ in batches], batches[0][1]

    def moments(self, rows: Sequence[int]) -> tuple[Any, Any]:
        """As :class:`allophone.emotion.states.StateSource`."""
        import torch

        if self._moments is None:
            raise SpaceError("moments are kept for probes only; this model trains layers.")
        return tuple(torch.from_numpy(part[list(rows)]).to(self._device) for part in self._moments)

    @property
    def _device(self) -> Any:
        return next(self._model.encoder.module.parameters()).device

    def _clip(self, state: NDArray[np.float16], row: int) -> Any:
        import torch

        return torch.from_numpy(state[self._offsets[row] : self._offsets[row + 1]].copy()).to(self._device)

    def _index(self, utterances: Sequence[Utterance], duration_s: float) -> None:
        """Lengths and state 0 of all utterances: the one pass over the audio."""
        index = self.folder / "index.json"
        if not index.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            offsets, samples, failures = [0], [0] * len(utterances), {}
            with whole_file(self._path(0)) as partial, partial.open("wb") as file:
                for row, utterance in enumerate(utterances):
                    tokens = 0
                    try:
                        with as_audio_error(str(utterance.audio_filepath)):
                            clip = load_clip(utterance, duration_s)
                            hidden = self._model.front(clip)
                        file.write(_half(hidden, self._model).tobytes())
                        tokens, samples[row] = len(hidden), clip.size
                    except AudioError as error:
                        failures[row] = str(error)
                    offsets.append(offsets[-1] + tokens)
                    self._report(0.5 * (row + 1) / len(utterances))
            write_whole(index, json.dumps({"offsets": offsets, "samples": samples, "failures": failures}))
        found = json.loads(index.read_text(encoding="utf-8"))
        self._offsets: list[int] = found["offsets"]
        self._samples: list[int] = found["samples"]
        self.failures: dict[int, str] = {int(row): why for row, why in found["failures"].items()}
        if not self.total_tokens:
            first = next(iter(self.failures.values()), "the corpus is empty")
            raise CorpusError(f"no recording can be used, the first because of this: {first}")

    def _fill(self) -> None:
        if self._model.is_probe:
            names = ("means", "covariances")
            if not all((self.folder / f"{name}.f16").is_file() for name in names):
                self._run_layers(names, range(0))
            shapes = self._moment_shapes()
            parts = [self._open(self.folder / f"{name}.f16", shapes[name], "r") for name in names]
            self._moments = (parts[0], parts[1])
            return
        wanted = range(self._model.first + 1)
        missing = [number for number in wanted if not self._path(number).is_file()]
        if missing:
            self._run_layers((), missing)
        shape = (self.total_tokens, self._width)
        self._states = [self._open(self._path(number), shape, "r") for number in wanted]

    def _run_layers(self, moments: Sequence[str], states: Sequence[int]) -> None:
        shapes = {
            self.folder / f"{name}.f16": shape for name, shape in self._moment_shapes().items() if name in moments
        }
        shapes |= {self._path(number): (self.total_tokens, self._width) for number in states}
        evict(self.folder, sum(_HALF_BYTES * _product(shape) for shape in shapes.values()))
        with ExitStack() as written:
            partial = {path: written.enter_context(whole_file(path)) for path in shapes}
            for path, shape in shapes.items():
                _reserve(partial[path], _HALF_BYTES * _product(shape))
            files = {path: self._open(partial[path], shape, "r+") for path, shape in shapes.items()}
            self._write_layers(moments, states, files)

    def _write_layers(self, moments: Sequence[str], states: Sequence[int], files: Mapping[Path, Any]) -> None:
        first = self._open(self._path(0), (self.total_tokens, self._width), "r")
        rows = sorted((row for row in range(len(self._offsets) - 1) if self.tokens(row)), key=self.tokens)
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            hidden, inside = pad_clips([self._clip(first, row) for row in batch])
            found = self._model.frozen_states(hidden.float(), inside)
            batch_size, tokens, _ = hidden.shape
            dims, layers = self._model.encoder.dimensions, self._model.first
            self.frozen_flops += batch_size * frozen_flops(dims, tokens=tokens, layers=layers)
            for name, values in zip(moments, state_moments(found, inside) if moments else (), strict=True):
                halved = _half(values, self._model)
                files[self.folder / f"{name}.f16"][batch] = halved
            for number in states:
                halved = _half(found[number], self._model)
                for index, row in enumerate(batch):
                    files[self._path(number)][self._offsets[row] : self._offsets[row + 1]] = halved[
                        index, : self.tokens(row)
                    ]
            self._report(0.5 + 0.5 * (start + len(batch)) / len(rows))
        for file in files.values():
            file.flush()

    def _path(self, number: int) -> Path:
        return self.folder / f"state-{number:02d}.f16"

    def _moment_shapes(self) -> dict[str, tuple[int, ...]]:
        states, rows = n_layers(self._model.encoder) + 1, len(self._offsets) - 1
        return {"means": (rows, states, self._width), "covariances": (rows, states * (states + 1) // 2, self._width)}

    def _open(self, path: Path, shape: tuple[int, ...], mode: Any) -> Any:
        import numpy as np

        return np.memmap(path, np.float16, mode, shape=shape)


def _reserve(path: Path, n_bytes: int) -> None:
    """Make a file of this size whose blocks are there: a disk that fills later is no bus error in a memory map."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate") and n_bytes:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        else:
            file.truncate(n_bytes)


def _stamps(utterances: Sequence[Utterance]) -> str:
    # A fingerprint knows the sizes of recordings; one that was changed in place has another time too.
    digest = sha256()
    for utterance in utterances:
        try:
            status = utterance.audio_filepath.stat()
        except OSError:  # reported as a failure
            continue
        digest.update(f"{utterance.id}:{status.st_size}:{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _half(values: Any, model: EmotionModel) -> NDArray[np.float16]:
    import torch

    halved: NDArray[np.float16] = values.to(torch.float16).cpu().numpy()
    if not torch.isfinite(values).all() or abs(halved).max() == float("inf"):
        raise SpaceError(
            f"model '{model.encoder.model}': its hidden states hold values that half precision cannot. Train it "
            "without the cache."
        )
    return halved


def _product(shape: Sequence[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
