"""Decoded frames at their times: resampled to 16 kHz mono, with silence where a container's time stamps leave a gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from allophone.dimensions.whisper import SAMPLE_RATE
from allophone.errors import AudioError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Timeline", "refuse_implausible"]

_TOLD = 5  # tolerances that a gap must span to be worth a word: codecs leave shorter ones where there is silence
_MOST_SILENCE_S = 3600.0  # put in by time stamps alone, which a few bytes can make
_FLOAT_BYTES = 4
_BLOCK = 1 << 20
_PCM_FLOATS = frozenset({"flt", "dbl"})  # what PCM decodes to; the float formats of codecs are planar
_RATES_HZ = (1_000, 768_000)  # outside, a header is damaged: resampling would take hours of samples or a vast filter
_MOST_CHANNELS = 64


def refuse_implausible(name: str, rate: int, channels: int) -> None:
    """Refuse what no recorder makes.

    Raises:
        AudioError: Under 1 kHz, over 768 kHz, or over 64 channels.
    """
    least, most = _RATES_HZ
    if not least <= rate <= most:
        raise AudioError(
            f"{name}: states a rate of {rate} Hz; {least} to {most} are believed. Its header is damaged: copy it again."
        )
    if channels > _MOST_CHANNELS:
        raise AudioError(
            f"{name}: states {channels} channels; {_MOST_CHANNELS} are believed. Its header is damaged: copy it again."
        )


class Timeline:
    """Places frames one after another, and later where their time stamps say so.

    A jump forward counts once the frame behind it goes on from there, and silence fills the gap; a jump back, as
    recordings joined end to end make it, moves what follows to where the sound stands.

    Args:
        name: The recording, as messages call it.
        origin_s: Time stamp of the container's begin.
        tolerance_s: How far a frame may lie from where the last one ended; None where the container has no time stamps
            of its own, but FFmpeg's count of what it read.
        sought: Whether the first frame lies somewhere within the recording.
        channel: The channel to keep; all are mixed down where None.
        check: Called with the seconds placed, silence among them, and the seconds of silence alone.

    Attributes:
        samples: Float32, 16 kHz, from ``begin_s`` on.
        begin_s: Time of the first sample; 0 but where the first frame was sought.
        clock_s: Time of the end of what is placed.
        silent_s: Seconds of silence put in.
        gaps_s: Gaps of five times the tolerance and more that were filled, a late begin apart.
        channels: Of the last frame.
    """

    def __init__(
        self,
        name: str,
        *,
        origin_s: float,
        tolerance_s: float | None,
        sought: bool,
        channel: int | None,
        check: Callable[[float, float], None],
    ) -> None:
        self._name, self._origin_s, self._channel = name, origin_s, channel
        self._stamped, self._tolerance_s = tolerance_s is not None, tolerance_s or 0.0
        self._check = check
        self._resampler: Any = None
        self._kind: tuple[str, str, int] | None = None
        self._held: Any = None  # a frame behind a gap, until the next one tells whether to believe it
        self._next_s: float | None = None  # unshifted time stamp that would go on from the last frame
        self._shift_s = 0.0
        self._missing_s = 0.0
        self._sought = sought
        self.samples = bytearray()  # grows in place; a list of pieces joined at the end would need the room twice
        self.begin_s = 0.0
        self.clock_s = 0.0
        self.silent_s = 0.0
        self.gaps_s: list[float] = []
        self.channels = 0

    @property
    def end_s(self) -> float:
        """Time stamp of the end of what is placed: some containers state that in place of a length."""
        return self.clock_s + (max(0.0, self._origin_s) if self._stamped else 0.0)

    def put(self, frame: Any) -> None:
        """Place a frame.

        Raises:
            AudioError: Its samples are not finite, it is not to be believed, or the recording becomes too long.
            FFmpegError: It cannot be resampled.
        """
        if self._sought:
            self._sought = False
            self.begin_s = self.clock_s = max(0.0, self._stamp(frame) or 0.0)
        if not self._stamped:
            self._fill(self.clock_s + self._missing_s)
            self._missing_s = 0.0
            self._append(frame)
            return
        self._settle(frame)
        time_s = self._stamp(frame)
        if time_s is not None and time_s > self.clock_s + self._tolerance_s:
            self._held = frame
            return
        if time_s is not None and time_s < self.clock_s - self._tolerance_s and self._goes_on(frame):
            self._shift_s += self.clock_s - time_s
        self._append(frame)

    def miss(self, seconds: float) -> None:
        """Note that so much sound could not be decoded, where no time stamps tell; silence takes its place."""
        self._missing_s += seconds

    def finish(self) -> None:
        """Place what is held back; must be called once after the last frame."""
        self._settle(None)
        self._flush()

    def _settle(self, frame: Any | None) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        after_s = None if frame is None else self._stamp(frame)
        held_s = self._stamp(held) or 0.0
        if after_s is not None and after_s > held_s - self._tolerance_s + held.samples / held.sample_rate:
            if held_s - self.clock_s >= _TOLD * self._tolerance_s and self.clock_s > 0:
                self.gaps_s.append(held_s - self.clock_s)
            self._fill(held_s)
        self._append(held)

    def _stamp(self, frame: Any) -> float | None:
        return None if frame.time is None else frame.time - self._origin_s + self._shift_s

    def _goes_on(self, frame: Any) -> bool:
        time_s = self._stamp(frame)
        return (
            time_s is not None
            and self._next_s is not None
            and abs(time_s - self._shift_s - self._next_s) < self._tolerance_s
        )

    def _fill(self, until_s: float) -> None:
        if until_s <= self.clock_s:
            return
        self.silent_s += until_s - self.clock_s
        if self.silent_s > _MOST_SILENCE_S:
            raise AudioError(
                f"{self._name}: its time stamps leave gaps of {self.silent_s / 3600:.1f} h in all, more than the "
                f"{_MOST_SILENCE_S / 3600:g} h that are filled with silence. Convert it to wav or flac."
            )
        self.clock_s = until_s
        self._check(self.clock_s, self.silent_s)
        self._flush()
        n_bytes = _FLOAT_BYTES * round((until_s - self.begin_s) * SAMPLE_RATE) - len(self.samples)
        while n_bytes > 0:
            self.samples += bytes(min(n_bytes, _BLOCK))
            n_bytes -= _BLOCK

    def _append(self, frame: Any) -> None:
        import av
        import numpy as np

        refuse_implausible(self._name, frame.sample_rate, frame.layout.nb_channels)
        time_s, seconds = self._stamp(frame), frame.samples / frame.sample_rate
        self._next_s = None if time_s is None else time_s - self._shift_s + seconds
        self.channels = frame.layout.nb_channels
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:  # joined recordings may change their rate or channels on the way
            self._flush()
            self._kind = kind
        if self._resampler is None:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        if frame.format.name in _PCM_FLOATS and not np.isfinite(frame.to_ndarray()).all():
            raise AudioError(f"{self._name}: damaged: holds samples that are not finite numbers. Copy it again.")
        self.clock_s += seconds
        self._check(self.clock_s, self.silent_s)
        if self._channel is not None:
            frame = _one_channel(frame, self._channel)
        frame.pts = None  # the resampler must not act on jumps
        self._take(self._resampler.resample(frame))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._take(self._resampler.resample(None))
            self._resampler = None

    def _take(self, pieces: Any) -> None:
        import numpy as np

        for piece in pieces:
            self.samples += (piece.to_ndarray()[0] * np.float32(2**-15)).tobytes()


def _one_channel(frame: Any, channel: int) -> Any:
    import av
    import numpy as np

    values: NDArray[np.generic] = frame.to_ndarray()
    n_channels = frame.layout.nb_channels
    kept = values[channel : channel + 1] if frame.format.is_planar else values[:, channel::n_channels]
    alone = av.AudioFrame.from_ndarray(np.ascontiguousarray(kept), format=frame.format.packed.name, layout="mono")
    alone.sample_rate = frame.sample_rate
    return alone
