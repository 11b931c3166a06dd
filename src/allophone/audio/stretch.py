"""Time compression that keeps the pitch: the ``speed`` axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from allophone.dimensions.whisper import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["compress_time"]

_BLOCK = SAMPLE_RATE  # samples given to the filter at once, so that memory holds input and output only


def compress_time(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Play audio ``speed`` times faster at the same pitch, through FFmpeg's ``atempo`` filter.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz.
        speed: 1 leaves the audio as it is; 1.25 makes it a fifth shorter.

    Returns:
        Shape ``(round(n_samples / speed),)``.
    """
    import av
    import numpy as np

    if speed == 1.0 or samples.size == 0:
        return samples
    graph = av.filter.Graph()
    source = graph.add_abuffer(format="flt", sample_rate=SAMPLE_RATE, layout="mono")
    tempo = graph.add("atempo", f"{speed:.6f}")
    sink = graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    stretched = np.zeros(round(samples.size / speed), np.float32)
    filled = 0
    # The filter keeps its last block back, so silence goes after the audio until all of it has come out.
    for start in range(0, samples.size + _BLOCK, _BLOCK):
        block = np.zeros((1, _BLOCK), np.float32)
        piece = samples[start : start + _BLOCK]
        block[0, : piece.size] = piece
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        source.push(frame)
        for produced in _available(sink):
            taken = produced[: stretched.size - filled]
            stretched[filled : filled + taken.size] = taken
            filled += taken.size
    return stretched


def _available(sink: Any) -> Iterator[NDArray[np.float32]]:
    import av

    while True:
        try:
            yield sink.pull().to_ndarray().reshape(-1)
        except (av.error.BlockingIOError, av.error.EOFError):
            return
