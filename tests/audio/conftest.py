"""Recordings in any format that PyAV writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

CHANNELS = {"mono": 1, "stereo": 2, "5.1": 6}


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Write a 440 Hz tone of amplitude 0.5, the same in every channel, or the given samples."""

    def write(
        name: str,
        codec: str,
        rate: int,
        layout: str = "mono",
        duration_s: float = 3.0,
        *,
        samples: np.ndarray | None = None,
        options: dict[str, str] | None = None,
        target: Any = None,
        container: str | None = None,
        bit_rate: int | None = None,
    ) -> Path:
        if samples is None:
            samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * duration_s)) / rate)
        path = tmp_path / name
        with av.open(target or str(path), "w", format=container, options=options or {}) as output:
            stream = output.add_stream(codec, rate=rate, layout=layout)
            if bit_rate is not None:
                stream.bit_rate = bit_rate
            channels = np.tile(samples.astype(np.float32), (CHANNELS[layout], 1))
            frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, 0
            for packet in (*stream.encode(frame), *stream.encode(None)):
                output.mux(packet)
        return path

    return write
