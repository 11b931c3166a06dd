"""The sound of the demo corpus: waveform, noise, babble and room, all at 16 kHz in float64.

Everything here is continuous in its input, so what machines differ by (1e-15) is rounded away with the 16-bit samples.
Signals have shape ``(n_samples,)`` and any level until :func:`to_pcm` sets one.
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from allophone.demo.voice import N_BINS, Spoken
from allophone.dimensions.whisper import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Waveform = NDArray[np.float64]

__all__ = [
    "UNIT_FRAME",
    "Noise",
    "Room",
    "babble",
    "mix",
    "reverberate",
    "shaped_noise",
    "to_pcm",
    "to_wav",
    "waveform",
]

Noise = Literal["pink", "brown", "babble"]

UNIT_FRAME = 800  # samples of a frame at 16 kHz: 50 ms, a quarter of it hop, so 80 frames per second
_VOICE_RATE = 24_000  # samples per second of the pulse train, as the network was trained
_VOICE_FRAME = 2 * (N_BINS - 1)  # 1200 samples: 50 ms
_VOICE_HOP = _VOICE_FRAME // 4
_VOICED_HZ = 40.0  # below it there is no pitch
_HARMONICS_TO_HZ = 11_000.0
_MAX_LOG_MAGNITUDE = 7.0
_T60_NEPERS = 6.907755278982137  # ln(10**3): an amplitude down by 60 dB
_FIRST_REFLECTION_S = 0.004
_BABBLERS = 5


@dataclass(frozen=True, slots=True)
class Room:
    """A synthetic room.

    Args:
        t60_s: Reverberation time: seconds in which the tail falls by 60 dB.
        direct_db: Energy of the direct sound over that of the tail, in dB.
    """

    t60_s: float
    direct_db: float


def waveform(spoken: Spoken, frame: int, rng: np.random.Generator) -> Waveform:
    """Turn the network's spectra into sound (as ``hibari.dsp`` does, in float64 and straight to 16 kHz).

    Args:
        spoken: One sentence.
        frame: Samples of an output frame, a multiple of 4. At 800 the voice is itself; at more it is as if it were
            played slower, deeper by ``800 / frame`` and longer by ``frame / 800``.
        rng: Source of the noise part.
    """
    import numpy as np

    bins = frame // 2 + 1
    parts = spoken.spectrum[:, :, :bins].astype(np.float64)
    harmonic, turn, noise, rest, phase = parts.transpose(1, 0, 2)
    for magnitude in (harmonic, noise, rest):
        np.exp(np.minimum(magnitude, _MAX_LOG_MAGNITUDE, out=magnitude), out=magnitude)
    spectrum = _source(spoken.pitch_hz.astype(np.float64))[:, :bins]
    spectrum *= harmonic * _unit_phasor(np.pi * np.tanh(turn))
    spectrum += noise * rng.standard_normal((len(noise), 2 * bins)).view(np.complex128)
    spectrum += rest * _unit_phasor(phase)
    return _overlap_add(np.fft.irfft(spectrum, n=frame, axis=1))


def _unit_phasor(angle: Waveform) -> NDArray[np.complex128]:
    import numpy as np

    z = np.empty(angle.shape, np.complex128)
    np.cos(angle, out=z.real)
    np.sin(angle, out=z.imag)
    return z


def _source(pitch_hz: Waveform) -> NDArray[np.complex128]:
    """Return the spectrum, shape ``(n_frames, 601)``, of a pulse train whose pitch is given 80 times per second."""
    import numpy as np

    n = len(pitch_hz) * _VOICE_HOP
    f = np.interp((np.arange(n) + 0.5) / _VOICE_HOP - 0.5, np.arange(len(pitch_hz)), pitch_hz)
    voiced = f > _VOICED_HZ
    f = np.maximum(f, _VOICED_HZ)
    turns = np.cumsum(f / _VOICE_RATE) % 1.0
    # Harmonics of equal amplitude: sum over h <= H of cos(h t) = sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2.
    upper = np.floor(_HARMONICS_TO_HZ / f) + 0.5
    half = 2.0 * np.sin(np.pi * turns)
    peak = np.abs(half) < 1e-6
    pulses = np.where(peak, upper, np.sin(2.0 * np.pi * upper * turns) / np.where(peak, 1.0, half)) - 0.5
    padded = np.pad(pulses * voiced, _VOICE_FRAME // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _VOICE_FRAME)[::_VOICE_HOP][: len(pitch_hz)]
    return np.fft.rfft(frames * (_hann(_VOICE_FRAME) / _VOICE_HOP), axis=1)


def _hann(n: int) -> Waveform:
    import numpy as np

    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n) / n)


def _overlap_add(frames: Waveform) -> Waveform:
    """Return the signal whose frames, shape ``(n_frames, frame)``, overlap by three quarters."""
    import numpy as np

    n, frame = frames.shape
    hop = frame // 4
    window = _hann(frame)
    blocks = (frames * window).reshape(n, 4, hop)
    weights = (window * window).reshape(4, hop)
    total, norm = np.zeros((n + 3, hop)), np.zeros((n + 3, hop))
    for i in range(4):
        total[i : i + n] += blocks[:, i]
        norm[i : i + n] += weights[i]
    return (total / np.maximum(norm, 1e-3)).reshape(-1)[frame // 2 : frame // 2 + n * hop]


def shaped_noise(n: int, kind: Noise, rng: np.random.Generator) -> Waveform:
    """Return ``n`` samples of noise whose power falls with frequency: pink by 3, brown by 6 dB an octave from 50 Hz."""
    import numpy as np

    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.fft.rfftfreq(n, 1.0 / SAMPLE_RATE), 50.0)
    return np.fft.irfft(spectrum * frequency ** (-0.5 if kind == "pink" else -1.0), n=n)


def babble(voices: list[Waveform], n: int, rng: np.random.Generator) -> Waveform:
    """Return ``n`` samples of some of ``voices`` at once, each equally loud and from a place of its own."""
    import numpy as np

    total = np.zeros(n)
    for chosen in rng.permutation(len(voices))[:_BABBLERS]:
        voice = voices[chosen]
        start = int(rng.integers(len(voice)))
        total += np.resize(np.roll(voice, -start), n) / np.sqrt(np.mean(voice * voice))
    return total


def reverberate(signal: Waveform, room: Room, rng: np.random.Generator) -> Waveform:
    """Convolve with a direct sound and a tail of exponentially decaying noise; the length stays."""
    import numpy as np

    t = np.arange(int(room.t60_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(t)) * np.exp(-_T60_NEPERS * t / room.t60_s) * (t >= _FIRST_REFLECTION_S)
    tail *= 10.0 ** (-room.direct_db / 20.0) / np.sqrt(np.sum(tail * tail))
    tail[0] = 1.0
    size = 1 << (len(signal) + len(tail) - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(tail, size), n=size)[: len(signal)]


def mix(signal: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Add ``noise`` at ``snr_db``: mean power of the signal over that of the noise, in dB."""
    import numpy as np

    gain: float = np.sqrt(np.mean(signal * signal) / np.mean(noise * noise)) * 10.0 ** (-snr_db / 20.0)
    return signal + noise * gain


def to_pcm(signal: Waveform, rms: float) -> bytes:
    """Return 16-bit little-endian samples at root mean square ``rms`` (full scale 1), lower where a peak would clip."""
    import numpy as np

    gain = min(rms / float(np.sqrt(np.mean(signal * signal))), 0.98 / float(np.abs(signal).max()))
    return bytes(np.rint(signal * (gain * 32767.0)).astype("<i2").tobytes())


def to_wav(pcm: bytes) -> bytes:
    """Return a mono WAV file of 16-bit samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)
    return buffer.getvalue()
