"""Pitch-preserving time compression: the ``speed`` axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allophone.dimensions import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["compress_time"]


def compress_time(samples: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Play audio ``speed`` times faster at the same pitch, through FFmpeg's ``atempo`` filter.

    Args:
        samples: Shape ``(n_samples,)``, 16 kHz.
        speed: 1 leaves the audio as it is; 1.25 makes it a fifth shorter.

    Returns:
        Shape ``(round(n_samples / speed),)``: what the filter returns, cut or padded with zeros by its block rest.
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
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None, :], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    source.push(frame)
    source.push(None)
    chunks = []
    while True:
        try:
            pulled: Any = sink.pull()
            chunks.append(pulled.to_ndarray().reshape(-1))
        except (av.error.BlockingIOError, av.error.EOFError):
            break
    stretched = np.zeros(round(samples.size / speed), np.float32)
    produced = np.concatenate(chunks) if chunks else stretched[:0]
    length = min(stretched.size, produced.size)
    stretched[:length] = produced[:length]
    return stretched
