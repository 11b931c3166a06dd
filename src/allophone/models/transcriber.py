"""A saved operating point, loaded and ready to transcribe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from allophone.audio.decode import load_audio
from allophone.errors import AudioError
from allophone.models.engine import load_engine
from allophone.models.transcribe import transcribe_points
from allophone.point_file import read_point
from allophone.records import OperatingPoint, Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Transcriber", "load_point"]


class Transcriber:
    """One operating point with its model in memory.

    Args:
        point: What to run.
        language: Language code of the prompt, or ``auto``.
        threads: CPU threads; 0 takes the engine's default.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        WeightsError: The model's weights cannot be found.
        SpaceError: This device has no such compute type.
    """

    def __init__(self, point: OperatingPoint, *, language: str = "en", threads: int = 0, device: str = "cpu") -> None:
        self.point = point
        self._language = language
        self._engine = load_engine(point.model, point.compute_type, threads=threads, device=device)

    def transcribe(self, audio: str | Path | NDArray[np.float32], *, words: bool = False) -> Transcript:
        """Transcribe one recording of any length.

        Args:
            audio: A file, or samples of shape ``(n_samples,)`` at 16 kHz.
            words: Whether to find each word's place in time.

        Raises:
            AudioError: The file cannot be decoded, or the array is not one row of floating-point samples.
        """
        samples = load_audio(Path(audio)) if isinstance(audio, str | Path) else _checked(audio)
        return transcribe_points(self._engine, samples, [self.point], language=self._language, words=words)[0]


def _checked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise AudioError(
            f"samples of shape {samples.shape} and type {samples.dtype}: give one row of floats in [-1, 1] at 16 kHz."
        )
    return samples.astype("float32", copy=False)


def load_point(
    source: str | Path | OperatingPoint, *, language: str | None = None, threads: int = 0, device: str = "cpu"
) -> Transcriber:
    """Load what ``recommend --out point.json`` saved, or a point made by hand.

    Args:
        source: The file, or a point.
        language: Language code or ``auto``; where None the language that the point was measured with.
        threads: CPU threads; 0 takes the engine's default.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        UsageError: The file is missing or not a saved point.
        WeightsError: The model's weights cannot be found.
    """
    if isinstance(source, OperatingPoint):
        return Transcriber(source, language=language or "en", threads=threads, device=device)
    saved = read_point(Path(source))
    return Transcriber(saved.point, language=language or saved.language, threads=threads, device=device)
