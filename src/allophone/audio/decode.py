"""Any recording that PyAV decodes, to 16 kHz mono float32 samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.dimensions import SAMPLE_RATE
from allophone.errors import AudioError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AUDIO_SUFFIXES", "load_audio"]

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("aac", "aif", "aiff", "flac", "m4a", "mka", "mkv", "mov", "mp3"),
        *("mp4", "oga", "ogg", "opus", "wav", "webm", "wma"),
    )
)
# A container may promise a little more than its last packet holds (encoder delay, rounded durations).
_TRUNCATION_SLACK_S = 0.5


def load_audio(path: Path) -> NDArray[np.float32]:
    """Decode a recording.

    Args:
        path: Any file with an audio stream; several channels are mixed down, any rate is resampled.

    Returns:
        Samples of shape ``(n_samples,)`` at 16 kHz, in [-1, 1].

    Raises:
        AudioError: The file is missing, empty, has no audio stream, holds no sample, or ends before the length that
            its container states.
    """
    import av
    import numpy as np

    if not path.is_file():
        raise AudioError(f"{path}: no such file. Check the path.")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: the file is empty (0 bytes). Record or copy it again.")
    try:
        with av.open(str(path), mode="r", metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError(
                    f"{path}: holds no audio stream. Give a recording, such as wav, flac, mp3, m4a or opus."
                )
            stream = container.streams.audio[0]
            stated_s = _stated_duration_s(container, stream)
            chunks, damage = _decode(container)
    except (av.error.FFmpegError, EOFError, UnicodeDecodeError) as error:
        raise AudioError(f"{path}: not readable as audio ({_reason(error)}). Convert it to wav or flac.") from None
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    if samples.size == 0:
        raise AudioError(f"{path}: decodes to no audio at all. Record or copy it again.")
    decoded_s = samples.size / SAMPLE_RATE
    if stated_s is not None and decoded_s < stated_s - max(_TRUNCATION_SLACK_S, 0.02 * stated_s):
        raise AudioError(
            f"{path}: truncated: {decoded_s:.1f} s could be decoded of the {stated_s:.1f} s that the file states. "
            "Copy it again."
        )
    if damage:
        raise AudioError(f"{path}: damaged after {decoded_s:.1f} s ({damage}). Copy or convert it again.")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: holds samples that are not finite numbers. Convert it again.")
    return samples


def _decode(container: Any) -> tuple[list[NDArray[np.float32]], str]:
    import av

    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    chunks: list[NDArray[np.float32]] = []
    damage = ""
    try:
        for frame in container.decode(audio=0):
            frame.pts = None  # gaps and jumps in timestamps must not stop the resampler
            chunks.extend(piece.to_ndarray()[0] for piece in resampler.resample(frame))
    except av.error.FFmpegError as error:
        damage = _reason(error)
    if chunks:
        chunks.extend(piece.to_ndarray()[0] for piece in resampler.resample(None))
    return chunks, damage


def _stated_duration_s(container: Any, stream: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration) / 1_000_000  # AV_TIME_BASE: microseconds
    return None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
