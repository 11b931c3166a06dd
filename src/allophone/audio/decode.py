"""Any recording that PyAV decodes, to 16 kHz mono float32 samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allophone.audio.truncation import missing_bytes
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
_SLACK_S = 0.5
_SLACK_SHARE = 0.005
_PCM_FLOATS = frozenset({"flt", "dbl"})  # what PCM decodes to; the float formats of codecs are planar
_BARE_FRAMES = frozenset({"aac", "ac3", "amr", "eac3", "mp3"})  # FFmpeg's names of formats


def load_audio(path: Path) -> NDArray[np.float32]:
    """Decode a recording.

    Samples pass through 16 bits, as in openai/whisper and faster-whisper: FFmpeg then mixes channels down without
    raising the level, and clips.

    Args:
        path: Any file with an audio stream; several channels are mixed down, any rate is resampled.

    Returns:
        Samples of shape ``(n_samples,)`` at 16 kHz, in [-1, 1).

    Raises:
        AudioError: The file is missing, empty, has no audio stream, holds no sample, or ends before the length that
            its container states.
    """
    import av
    import numpy as np

    _check_file(path)
    try:
        with av.open(str(path), mode="r", metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError(
                    f"{path}: holds no audio stream. Give a recording, such as wav, flac, mp3, m4a or opus."
                )
            stated_s = _stated_duration_s(container, container.streams.audio[0])
            decoded, damage = _decode(container)
    except (av.error.FFmpegError, EOFError, UnicodeDecodeError) as error:
        raise AudioError(f"{path}: not readable as audio ({_reason(error)}). Convert it to wav or flac.") from None
    samples: NDArray[np.float32] = np.frombuffer(decoded, np.float32)
    why = f" ({damage})" if damage else ""
    if samples.size == 0:
        raise AudioError(f"{path}: decodes to no audio at all{why}. Record or copy it again.")
    decoded_s = samples.size / SAMPLE_RATE
    if stated_s is not None and decoded_s < stated_s - max(_SLACK_S, _SLACK_SHARE * stated_s):
        raise AudioError(
            f"{path}: truncated or damaged: {decoded_s:.1f} s could be decoded of the {stated_s:.1f} s that the file "
            f"states{why}. Copy it again."
        )
    if damage:
        raise AudioError(f"{path}: damaged after {decoded_s:.1f} s{why}. Copy or convert it again.")
    return samples


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioError(f"{path}: is a folder. Name a recording in it.")
        if not path.is_file():
            raise AudioError(f"{path}: no such file. Check the path.")
        if path.stat().st_size == 0:
            raise AudioError(f"{path}: the file is empty (0 bytes). Record or copy it again.")
        missing = missing_bytes(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({_reason(error)}). Check the path.") from None
    if missing:
        raise AudioError(f"{path}: truncated: at least {missing} bytes are missing at its end. Copy it again.")


def _decode(container: Any) -> tuple[bytearray, str]:
    import av
    import numpy as np

    samples = bytearray()  # grows in place; a list of pieces joined at the end would need the room twice
    damage = ""
    try:
        for piece in _resampled(container.decode(audio=0)):
            samples += (piece.to_ndarray()[0] * np.float32(2**-15)).tobytes()
    except av.error.FFmpegError as error:
        damage = _reason(error)
    return samples, damage


def _resampled(frames: Iterable[Any]) -> Iterator[Any]:
    import av
    import numpy as np

    resampler: Any = None
    kind = None
    for frame in frames:
        if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
            if resampler is not None:  # joined recordings may change their rate or channels on the way
                yield from resampler.resample(None)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        if frame.format.name in _PCM_FLOATS and not np.isfinite(frame.to_ndarray()).all():
            raise av.error.InvalidDataError(0, "samples that are not finite numbers")
        frame.pts = None  # gaps and jumps in timestamps must not stop the resampler
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _stated_duration_s(container: Any, stream: Any) -> float | None:
    if stream.duration is None or stream.time_base is None:
        if container.duration is None or len(container.streams) > 1:  # the container's may be that of its video
            return None
        return float(container.duration) / 1_000_000  # AV_TIME_BASE: microseconds
    stated_s = float(stream.duration * stream.time_base)
    # A bare sequence of frames (ADTS, MP3 without a Xing header) states nothing; FFmpeg guesses from the first
    # frames' bit rate, which can be ten times wrong. Such a guess always fits the size of the file.
    guessable = container.format.name in _BARE_FRAMES and stream.bit_rate
    if guessable and container.size * 8 / stream.bit_rate > 0.98 * stated_s:
        return None
    return stated_s


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).lower()
